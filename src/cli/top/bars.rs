//! Bars of eighths, and text that is cut where it does not fit.

/// A bar of `share` of `width` cells: `██▌`
pub(super) fn bar(share: f64, width: u16) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * f64::from(width) * 8.0).round() as usize;
    // What is little is not nothing.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// `0 %`, `3.4 %`, `54 %`
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent > 0.0 && percent < 9.95 {
        true => format!("{percent:.1} %"),
        false => format!("{percent:.0} %"),
    }
}

/// At most `width` letters, the last of them `…` if some are missing.
pub(super) fn shortened(text: &str, width: usize) -> String {
    match text.chars().count() <= width {
        true => text.to_owned(),
        false => {
            let kept = text.chars().take(width.saturating_sub(1));
            kept.chain((width > 0).then_some('…')).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_longer() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(0.5, 5), "██▌");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(7.0, 3), "███");
        assert_eq!(bar(0.000_1, 3), "▏");
        assert_eq!(bar(f64::NAN, 3), "");
    }

    #[test]
    fn shares_are_told_in_percent() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.034), "3.4 %");
        assert_eq!(percent(0.0996), "10 %");
        assert_eq!(percent(0.54), "54 %");
    }

    #[test]
    fn text_that_does_not_fit_says_so() {
        assert_eq!(shortened("samples", 7), "samples");
        assert_eq!(shortened("samples", 4), "sam…");
        assert_eq!(shortened("samples", 0), "");
    }
}
