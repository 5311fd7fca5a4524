use super::*;

fn leaf(primitive: PrimitiveType) -> Leaf {
    Leaf {
        id: 1,
        primitive,
        mode: MetricsMode::Truncate(16),
        path: Some(vec![0]),
    }
}

fn text_group(min: &str, max: &str, exact: bool) -> Statistics {
    use parquet::data_type::ByteArray;
    use parquet::file::statistics::ValueStatistics;
    let values = ValueStatistics::new(
        Some(ByteArray::from(min)),
        Some(ByteArray::from(max)),
        None,
        Some(0),
        false,
    );
    Statistics::ByteArray(values.with_min_is_exact(exact).with_max_is_exact(exact))
}

#[test]
fn a_row_group_with_shortened_statistics_still_widens_the_bounds() {
    let leaf = leaf(PrimitiveType::String);
    let bounds = Bounds::Unseen
        .extend(&leaf, Some(&text_group("m", "n", true)), false)
        .extend(&leaf, Some(&text_group("a", "z", false)), false);
    assert_eq!(
        bounds,
        Bounds::Known(Datum::string("a"), Datum::string("z"))
    );
}

#[test]
fn a_row_group_without_statistics_takes_the_bounds_away_unless_it_is_all_null_or_all_nan() {
    let text = leaf(PrimitiveType::String);
    let known = || Bounds::Unseen.extend(&text, Some(&text_group("m", "n", true)), false);
    assert_eq!(known().extend(&text, None, false), Bounds::Unknown);
    assert_eq!(known().extend(&text, None, true), known());
    assert_eq!(
        known()
            .extend(&text, None, false)
            .extend(&text, Some(&text_group("a", "b", true)), false),
        Bounds::Unknown
    );
    let empty = Statistics::double(None, None, None, Some(0), false);
    let double = leaf(PrimitiveType::Double);
    assert_eq!(
        Bounds::Unseen.extend(&double, Some(&empty), false),
        Bounds::Unseen
    );
}

#[test]
fn decimals_of_few_digits_are_turned_around() {
    let decimal = PrimitiveType::Decimal {
        precision: 9,
        scale: 2,
    };
    let statistics = Statistics::int32(Some(-1), Some(300), None, Some(0), false);
    let Bounds::Known(min, max) = Bounds::Unseen.extend(&leaf(decimal), Some(&statistics), false)
    else {
        panic!("no bounds");
    };
    assert_eq!(min.to_bytes().unwrap().as_ref(), [0xff]);
    assert_eq!(max.to_bytes().unwrap().as_ref(), [0x01, 0x2c]);
}

#[test]
fn a_shortened_upper_bound_is_not_below_what_it_bounds() {
    for (text, length, expected) in [
        ("abc", 3, Some("abc")),
        ("abcd", 3, Some("abd")),
        ("é☃x", 2, Some("é☄")),
        ("a\u{10FFFF}x", 2, Some("b")),
        ("\u{D7FF}x", 1, Some("\u{E000}")),
        ("\u{10FFFF}x", 1, None),
    ] {
        let rounded = rounded_up_text(text, length);
        assert_eq!(rounded.as_deref(), expected, "{text}");
        assert!(rounded.is_none_or(|rounded| rounded.as_str() >= text));
    }
    assert_eq!(rounded_up_bytes(&[1, 2, 3], 2), Some(vec![1, 3]));
    assert_eq!(rounded_up_bytes(&[1, 255, 3], 2), Some(vec![2]));
    assert_eq!(rounded_up_bytes(&[255, 255, 3], 2), None);
    assert_eq!(rounded_up_bytes(&[255, 255], 2), Some(vec![255, 255]));
}

#[test]
fn a_mode_without_bounds_gives_none() {
    let (min, max) = (Datum::int(1), Datum::int(2));
    assert_eq!(
        shortened(min.clone(), max.clone(), MetricsMode::Counts),
        (None, None)
    );
    let kept = (Some(min.clone()), Some(max.clone()));
    assert_eq!(shortened(min, max, MetricsMode::Truncate(1)), kept);
}
