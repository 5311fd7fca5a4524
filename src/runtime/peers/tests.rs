use super::*;

const SOON: Duration = Duration::from_millis(20);

#[test]
fn a_process_that_is_missing_is_named_and_ends_the_wait() {
    let addresses = ["a:1", "b:2", "c:3"].map(str::to_owned);
    let (ended, has_ended) = mpsc::channel();
    let began = Instant::now();
    let connected = watch(others(1, &addresses), SOON, SOON * 3, move |error| {
        ended.send(error).unwrap();
    });
    let error = has_ended.recv_timeout(SOON * 500).unwrap();
    assert!(began.elapsed() >= SOON * 3);
    let text = error.to_string();
    assert!(text.contains("process 0 (a:1), process 2 (c:3)"), "{text}");
    assert!(!text.contains("b:2"), "{text}");
    drop(connected);
}

#[test]
fn a_run_that_is_connected_is_left_alone_whether_or_not_it_still_says_so() {
    for says_so in [true, false] {
        let (ended, has_ended) = mpsc::channel();
        let connected = watch(String::new(), SOON, SOON * 3, move |error| {
            ended.send(error).unwrap();
        });
        if says_so {
            connected.send(()).unwrap();
        } else {
            drop(connected);
        }
        assert!(has_ended.recv_timeout(SOON * 10).is_err());
    }
}
