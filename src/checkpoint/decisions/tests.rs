//! The outcome tables of the doc comments, row by row.

use super::*;

const TABLE: &str = "table";
const OTHER_TABLE: &str = "other table";

/// A marker called `id`, of `generation` and `epoch`.
fn marker(id: &str, generation: u64, epoch: u64) -> Marker {
    Marker {
        id: id.into(),
        pipeline: "p".into(),
        table_uuid: TABLE.into(),
        generation: Generation(generation),
        epoch: Epoch(epoch),
        ..Marker::default()
    }
}

fn observed(property: Option<(Marker, Whereabouts)>, lineage: Option<Marker>) -> Observed {
    Observed {
        table_uuid: TABLE.into(),
        property: property.map(|(marker, snapshot)| Recorded { marker, snapshot }),
        lineage,
        whole: true,
        retained: Vec::new(),
    }
}

/// The table of a pipeline that stands, undisturbed, at `marker`.
fn at(marker: Marker) -> Observed {
    observed(Some((marker.clone(), Whereabouts::Newest)), Some(marker))
}

/// One word for an outcome, so that a table of cases stays readable.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Append => "append",
        Decision::AlreadyCommitted => "already committed",
        Decision::Landed(_) => "landed",
        Decision::Outrun => "outrun",
        Decision::Fenced(_) => "fenced",
        Decision::Refuse(refusal) => refusal_word(refusal),
    }
}

fn refusal_word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Replaced { .. } => "replaced",
        Refusal::RolledBack { .. } => "rolled back",
        Refusal::Forgotten { .. } => "forgotten",
        Refusal::Restored { .. } => "restored",
        Refusal::Diverged { .. } => "diverged",
    }
}

fn start_word(start: &Start) -> &'static str {
    match start {
        Start::Fresh => "fresh",
        Start::Resume(_) => "resume",
        Start::Recover(_) => "recover",
        Start::Refuse(refusal) => refusal_word(refusal),
    }
}

use OnRollback::{Continue, Halt, Rewind};
use Whereabouts::{Buried, Bypassed, Detached, Expired, Newest};

#[test]
fn a_start_follows_its_outcome_table() {
    let m = || marker("m", 2, 5);
    let older = || Some(marker("l", 2, 4));
    let newer = || Some(marker("n", 2, 6));
    // Halt, rewind, continue.
    let whatever = |start| [start; 3];
    let rolled_back = ["rolled back", "forgotten", "recover"];
    let cases = [
        (None, None, whatever("fresh")),
        (None, Some(m()), whatever("diverged")),
        (Some((m(), Newest)), Some(m()), whatever("resume")),
        (Some((m(), Buried)), newer(), whatever("diverged")),
        (Some((m(), Detached)), older(), rolled_back),
        (Some((m(), Detached)), None, rolled_back),
        (Some((m(), Bypassed)), older(), rolled_back),
        (Some((m(), Bypassed)), None, rolled_back),
        (Some((m(), Expired)), None, whatever("resume")),
        (Some((m(), Expired)), newer(), whatever("diverged")),
    ];
    for (property, lineage, expected) in cases {
        let observed = observed(property, lineage);
        let starts = [Halt, Rewind, Continue].map(|policy| decide_start(&observed, policy));
        assert_eq!(starts.each_ref().map(start_word), expected, "{observed:?}");
    }
}

#[test]
fn a_start_resumes_from_the_property_which_alone_knows_every_partition() {
    let mut property = marker("m", 2, 5);
    property.next.set("t", 0, crate::offsets::NextOffset(9));
    let observed = observed(Some((property.clone(), Newest)), Some(marker("m", 2, 5)));
    assert_eq!(
        decide_start(&observed, Halt),
        Start::Resume(Box::new(property))
    );
}

#[test]
fn a_start_refuses_a_marker_that_was_copied_from_another_table() {
    let m = || marker("m", 2, 5);
    let bypassed = observed(Some((m(), Bypassed)), None);
    for mut observed in [at(m()), bypassed] {
        observed.table_uuid = OTHER_TABLE.into();
        for policy in [Halt, Rewind, Continue] {
            assert_eq!(
                decide_start(&observed, policy),
                Start::Refuse(Refusal::Replaced {
                    expected: TABLE.into(),
                    found: OTHER_TABLE.into()
                })
            );
        }
    }
}

#[test]
fn a_claim_follows_its_outcome_table() {
    let fresh = Claim {
        id: "claim".into(),
        table_uuid: TABLE.into(),
        from: Start::Fresh,
        on_rollback: Halt,
    };
    let takeover = Claim {
        from: decide_start(&at(marker("m", 2, 5)), Halt),
        ..fresh.clone()
    };
    let elsewhere = Claim {
        table_uuid: OTHER_TABLE.into(),
        ..takeover.clone()
    };
    let m = || marker("m", 2, 5);
    let cases = [
        (&fresh, observed(None, None), "append"),
        (&takeover, at(m()), "append"),
        (&takeover, observed(Some((m(), Expired)), None), "append"),
        (&takeover, at(marker("claim", 3, 5)), "already committed"),
        // The process it takes over from has committed once more.
        (&takeover, at(marker("n", 2, 6)), "outrun"),
        // Another start was faster, to the same generation or a later one.
        (&takeover, at(marker("rival", 3, 5)), "outrun"),
        (&fresh, at(marker("rival", 1, 0)), "outrun"),
        (&takeover, observed(None, None), "outrun"),
        (&takeover, observed(None, Some(m())), "diverged"),
        (
            &takeover,
            observed(Some((m(), Detached)), None),
            "rolled back",
        ),
        (&elsewhere, at(m()), "replaced"),
    ];
    for (claim, observed, expected) in cases {
        let decision = decide_claim(&observed, claim);
        assert_eq!(word(&decision), expected, "{claim:?} {observed:?}");
    }
}

/// Whoever has cut snapshots off may bring them back after their own marker has expired: then nothing tells how far
/// the rows reach that are in the table, and to read on from any other marker would double some.
#[test]
fn a_lineage_whose_markers_have_expired_is_gone_on_from_by_no_policy() {
    for (whole, words) in [
        (true, ["rolled back", "recover", "recover"]),
        (false, ["rolled back", "forgotten", "forgotten"]),
    ] {
        let first = Marker {
            parent: None,
            ..marker("m", 2, 5)
        };
        let observed = Observed {
            whole,
            retained: vec![first.clone()],
            ..observed(Some((first, Detached)), None)
        };
        let starts = [Halt, Rewind, Continue].map(|policy| decide_start(&observed, policy));
        assert_eq!(starts.each_ref().map(start_word), words, "whole: {whole}");
    }
}

#[test]
fn a_claim_of_a_rolled_back_table_lands_only_if_the_table_is_rolled_back_in_the_same_way() {
    let (m, older) = (|| marker("m", 2, 5), || marker("l", 2, 4));
    let rolled_back = || observed(Some((m(), Detached)), Some(older()));
    let claim = Claim {
        id: "claim".into(),
        table_uuid: TABLE.into(),
        from: decide_start(&rolled_back(), Continue),
        on_rollback: Continue,
    };
    let cases = [
        (rolled_back(), "append"),
        (at(marker("claim", 3, 5)), "already committed"),
        // Undone, in the meantime.
        (at(m()), "outrun"),
        // Rolled back further.
        (observed(Some((m(), Detached)), None), "outrun"),
        (
            observed(Some((m(), Detached)), Some(marker("k", 2, 3))),
            "outrun",
        ),
        // The property was set back as well: there is nothing to leave out any more.
        (at(older()), "outrun"),
        // Another start was faster, and perhaps it was rolled back as well.
        (at(marker("rival", 3, 5)), "outrun"),
        // (No snapshot tells here whether it followed what is left.)
        (
            observed(Some((marker("rival", 3, 5), Detached)), Some(older())),
            "forgotten",
        ),
        // This very claim landed and was rolled back.
        (
            observed(Some((marker("claim", 3, 5), Detached)), Some(older())),
            "forgotten",
        ),
        (
            observed(Some((m(), Buried)), Some(marker("n", 2, 6))),
            "diverged",
        ),
    ];
    for (observed, expected) in cases {
        let decision = decide_claim(&observed, &claim);
        assert_eq!(word(&decision), expected, "{observed:?}");
    }
}

#[test]
fn a_process_from_before_the_rollback_is_fenced_by_the_claim_that_recovers() {
    // `mine` is of generation 2; the claim takes the next one after the recorded marker's.
    let recovered = at(marker("claim", 3, 5));
    assert_eq!(
        decide_commit(&recovered, &mine()),
        Decision::Fenced(Generation(3))
    );
}

#[test]
fn a_start_ends_what_its_policy_can_end() {
    let m = || Box::new(marker("m", 2, 5));
    let cases = [
        (
            Refusal::RolledBack {
                recorded: m(),
                newest: None,
                undone: false,
            },
            [false, true, true],
        ),
        (Refusal::Restored { found: m() }, [false, true, false]),
        (
            Refusal::Forgotten {
                recorded: m(),
                newest: None,
            },
            [false; 3],
        ),
        (
            Refusal::Replaced {
                expected: TABLE.into(),
                found: OTHER_TABLE.into(),
            },
            [false; 3],
        ),
        (Refusal::diverged(&observed(None, None), "x"), [false; 3]),
    ];
    for (refusal, expected) in cases {
        let ends = [Halt, Rewind, Continue].map(|policy| refusal.ends_with_a_start(policy));
        assert_eq!(ends, expected, "{refusal:?}");
    }
}

fn mine() -> Mine {
    Mine {
        id: "mine".into(),
        table_uuid: TABLE.into(),
        generation: Generation(2),
        parent: "parent".into(),
        parent_rank: (Generation(2), Epoch(5)),
        unproved: vec!["u1".into(), "u2".into()],
    }
}

#[test]
fn a_commit_follows_its_outcome_table() {
    let parent = || marker("parent", 2, 5);
    let cases = [
        (at(parent()), "append"),
        (observed(Some((parent(), Expired)), None), "append"),
        (at(marker("mine", 2, 6)), "already committed"),
        (at(marker("u1", 2, 6)), "landed"),
        (at(marker("u2", 2, 7)), "landed"),
        (at(marker("takeover", 3, 5)), "fenced"),
        (at(marker("old", 2, 4)), "restored"),
        (at(marker("older", 1, 9)), "restored"),
        (at(marker("stranger", 2, 6)), "diverged"),
        (observed(None, None), "diverged"),
        (observed(None, Some(parent())), "diverged"),
        (
            observed(Some((parent(), Buried)), Some(marker("x", 2, 6))),
            "diverged",
        ),
        (observed(Some((parent(), Detached)), None), "rolled back"),
        (observed(Some((parent(), Bypassed)), None), "rolled back"),
        (
            observed(Some((marker("mine", 2, 6), Detached)), Some(parent())),
            "rolled back",
        ),
    ];
    for (observed, expected) in cases {
        assert_eq!(
            word(&decide_commit(&observed, &mine())),
            expected,
            "{observed:?}"
        );
    }
}

#[test]
fn a_zombie_is_fenced_even_if_the_table_was_rolled_back_since() {
    let observed = observed(
        Some((marker("takeover", 3, 5), Detached)),
        Some(marker("parent", 2, 5)),
    );
    assert_eq!(
        decide_commit(&observed, &mine()),
        Decision::Fenced(Generation(3))
    );
}

#[test]
fn a_replaced_table_is_never_appended_to_whatever_its_markers_say() {
    for mut observed in [at(marker("parent", 2, 5)), observed(None, None)] {
        observed.table_uuid = OTHER_TABLE.into();
        assert_eq!(word(&decide_commit(&observed, &mine())), "replaced");
    }
}

#[test]
fn only_the_parent_itself_permits_an_append() {
    // Every combination of places and markers, so that no row of the table is forgotten.
    let markers = [
        ("parent", 2, 5),
        ("mine", 2, 6),
        ("u1", 2, 6),
        ("stranger", 2, 5),
        ("old", 1, 1),
        ("takeover", 3, 6),
    ]
    .map(|(id, generation, epoch)| marker(id, generation, epoch));
    let mut appends = 0;
    for property in &markers {
        for snapshot in [Newest, Buried, Detached, Bypassed, Expired] {
            for lineage in markers.iter().cloned().map(Some).chain([None]) {
                let observed = observed(Some((property.clone(), snapshot)), lineage.clone());
                if decide_commit(&observed, &mine()) == Decision::Append {
                    appends += 1;
                    assert_eq!(property.id, "parent".into());
                    assert!(
                        snapshot == Newest || (snapshot == Expired && lineage.is_none()),
                        "{observed:?}"
                    );
                }
            }
        }
    }
    assert!(appends > 0);
}

#[test]
fn a_refusal_prints_both_markers() {
    let text = Refusal::rolled_back(
        &observed(None, Some(marker("newest", 1, 2))),
        &marker("recorded", 3, 4),
    )
    .to_string();
    assert!(
        text.contains("epoch 4 of generation 3 (recorded)"),
        "{text}"
    );
    assert!(text.contains("epoch 2 of generation 1 (newest)"), "{text}");
}
