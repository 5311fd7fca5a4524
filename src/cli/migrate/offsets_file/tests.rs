use super::parse;

#[test]
fn partitions_stand_one_a_line_with_or_without_a_header() {
    let with = "\u{feff}topic, partition, offset\r\n# of checkpoint 42\n\nt,0,17\r\n t , 1 , 0 \nu,0,9223372036854775807\n";
    let offsets = parse(with, "o.csv").unwrap();
    assert_eq!(
        offsets.to_string(),
        "t[0]=17 t[1]=0 u[0]=9223372036854775807"
    );
    assert_eq!(parse("t,0,17", "o.csv").unwrap().to_string(), "t[0]=17");
    assert!(parse("", "o.csv").unwrap().is_empty());
}

#[test]
fn a_line_that_is_none_is_an_error_with_its_number() {
    for line in [
        "t,0",
        "t,0,17,1",
        "t,x,17",
        "t,-1,17",
        "t,0,-2",
        "t,0,1.5",
        ",0,17",
        "t;0;17",
        "t,0,",
        "t,0,9223372036854775808",
        "topic,partition,offset",
    ] {
        let error = parse(&format!("t,9,1\n{line}\n"), "o.csv")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("offsets file o.csv, line 2: expected topic,partition,offset"),
            "{line}: {error}"
        );
    }
}

#[test]
fn a_partition_that_is_there_twice_is_an_error_even_with_the_same_offset() {
    for second in [17, 18] {
        let error = parse(&format!("t,0,17\nt,1,0\nt,0,{second}\n"), "o.csv")
            .unwrap_err()
            .to_string();
        let expected = format!("line 3: t[0] is there twice, with offset 17 and with {second}");
        assert!(error.contains(&expected), "{error}");
    }
}
