//! Samples of devices, and what any text has.

use super::*;

/// Returns the numbers of this name, in their order.
fn named(numbers: &[(String, f64)], name: &str) -> Vec<f64> {
    numbers.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect()
}

#[test]
fn samples_of_devices_have_their_numbers() {
    // What stands behind the checksum does not matter.
    let gga = "$GPGGA,175308.00,2745.71,N,08237.91,W,2,09,1.4*4D,rssi -70";
    let object = r#"{"t":21.4,"acc":{"x":1,"y":-2},"on":true,"v":[3,4]}"#;
    for (text, expected) in [
        ("23.5", &[("1", 23.5)][..]),
        ("1,2,3", &[("1", 1.0), ("2", 2.0), ("3", 3.0)]),
        ("1\t-2.5 3e2\r\n", &[("1", 1.0), ("2", -2.5), ("3", 300.0)]),
        ("temp:21.4,hum:48", &[("temp", 21.4), ("hum", 48.0)]),
        ("temp=21.4 hum=48%", &[("temp", 21.4), ("hum", 48.0)]),
        ("T: 23.5 °C", &[("T", 23.5)]),
        ("温度:23.5 湿度:40", &[("温度", 23.5), ("湿度", 40.0)]),
        (object, &[("t", 21.4), ("acc.x", 1.0), ("acc.y", -2.0), ("on", 1.0), ("v.0", 3.0), ("v.1", 4.0)]),
        ("myData:4|g", &[("myData", 4.0)]),
        (">sin:1627551892437:0.5|g", &[("sin", 0.5)]),
        ("a:1\nb:2\nc:3\n", &[("a", 1.0), ("b", 2.0), ("c", 3.0)]),
        ("time=22:03:05 temp=20", &[("temp", 20.0)]),
        ("ip=192.168.1.5 rssi=-67", &[("rssi", -67.0)]),
        ("adc[0]=512 adc[1]: 600", &[("adc[0]", 512.0), ("adc[1]", 600.0)]),
        ("m[1][2]=3 x[i]=4 y[]=5 [0]=6 z[0", &[("m[1][2]", 3.0)]),
        ("现在 03:15:40", &[]),
        ("countdown 1 03:15:40", &[]),
        ("下午3:15 温度:20", &[("温度", 20.0)]),
        ("sin:1627551892437:40", &[("sin", 40.0)]),
        (">n 1:15:40", &[("n 1", 40.0)]),
        ("a[a[a[1]=2", &[("a[1]", 2.0)]),
        ("hello world", &[]),
        ("2026-11-26 22:03:05", &[]),
        (
            gga,
            &[
                ("GPGGA.1", 175_308.0),
                ("GPGGA.2", 2745.71),
                ("GPGGA.4", 8237.91),
                ("GPGGA.6", 2.0),
                ("GPGGA.7", 9.0),
                ("GPGGA.8", 1.4),
            ],
        ),
        ("done 42", &[]),
        ("cpu.load=0.5;mem/used=12", &[("cpu.load", 0.5), ("mem/used", 12.0)]),
        ("x=.5 y=-.5", &[("x", 0.5), ("y", -0.5)]),
        ("", &[]),
        ("v=1.2.3", &[]),
        ("PM2.5:35", &[("PM2.5", 35.0)]),
        ("<34>Oct 11 22:14:15 host su: failed", &[]),
        ("room 3 temp:20", &[("temp", 20.0)]),
        ("3.2323e-8", &[("1", 3.2323e-8)]),
        ("GET /x?n=5", &[("n", 5.0)]),
        ("status=0x1F mask: 0XFFfe", &[("status", 31.0), ("mask", 65_534.0)]),
        ("v=-0x10;", &[("v", -16.0)]),
        ("0x1f 0x20", &[("1", 31.0), ("2", 32.0)]),
        ("温度：21.5，湿度＝40", &[("温度", 21.5), ("湿度", 40.0)]),
        ("温度\u{3000}： 21.5℃", &[("温度", 21.5)]),
        ("温度＝２６．５ 湿度：－４０％", &[("温度", 26.5), ("湿度", -40.0)]),
        ("t=２6.5", &[("t", 26.5)]),
        ("１．５，２；３", &[("1", 1.5), ("2", 2.0), ("3", 3.0)]),
        ("时间＝１０：３０ 日期＝２０２６－１１－２８ 版本＝１．２．３ ｖ＝1", &[("ｖ", 1.0)]),
        ("1.5，2；3", &[("1", 1.5), ("2", 2.0), ("3", 3.0)]),
        // A comma in front of a name separates; behind a fraction, it separates what has no name.
        ("a=1,b=2, c=3", &[("a", 1.0), ("b", 2.0), ("c", 3.0)]),
        ("t=21.5,48.2", &[("t", 21.5)]),
        ("mem=12/64", &[("mem", 12.0)]),
        ("flow=1.2m3/h area=3m2 t=12ms up=5h", &[("flow", 1.2), ("area", 3.0), ("t", 12.0), ("up", 5.0)]),
        ("t=1 t=2 t=3", &[("t", 1.0), ("t", 2.0), ("t", 3.0)]),
        // Python writes NaN, which is not JSON.
        (r#"{"temp":21.4,"hum":NaN}"#, &[("temp", 21.4)]),
        (r#"{"hum": NaN, "temp": 21.4}"#, &[("temp", 21.4)]),
        (r#"{"t":21,"x":1e400}"#, &[("t", 21.0)]),
        (r#"{"t" : 21, "v": Infinity, "温度":5}"#, &[("t", 21.0), ("温度", 5.0)]),
        ("1.5,2,", &[("1", 1.5), ("2", 2.0)]),
        ("1.5; 2 ;\r\n", &[("1", 1.5), ("2", 2.0)]),
    ] {
        let found = numbers_in(text);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_is_not_a_finite_number_is_left_out() {
    for text in [
        "NaN",
        "inf",
        "x=nan",
        "x=inf",
        "x=1e400",
        "1e400",
        r#"{"x":1e400}"#,
        r#"{"x":"1"}"#,
        "{",
        "-",
        ".",
        "a=.",
        "$GP",
        "$GPGGA",
        // A wrong checksum, and one that is cut off.
        "$GPGGA,175308.00,2745.71,N,08237.91,W,2,09,1.4*4E",
        "$GPGGA,175308.00,2745.71,N,08237.91,W,2,09,1.4*4",
        "1,,2",
        "1,2,,",
        ",1",
        r#"{"x":NaN}"#,
        "a:b:c",
        ">a:1:",
        "x=1:2",
        r#"{"x":null}"#,
        "é",
        "=5",
        ":5",
        "5=5",
        "x=0x",
        "x=0x1g",
        "x=0xfffffffffffffffff",
        "t=21,5",
        "n=1,234,567",
        "v=1,2,3",
        "up=1d02h03m",
        "up=1h30 lap: 2m05s",
        "date=2026-11-27",
        "date: 2026/11/27",
        "日期：2026-11-27",
        "time：10：30",
        "pages=5-10",
    ] {
        assert_eq!(numbers_in(text), [], "{text}");
    }
    // A device that sends broken JSON is still understood where it is `name:value`.
    assert_eq!(numbers_in("{temp:20"), [("temp".to_owned(), 20.0)]);
    let twice = numbers_in("a=1 b=2 b=3");
    assert_eq!(named(&twice, "b"), [2.0, 3.0]);
    assert_eq!(named(&twice, "B"), [0.0; 0]);
}

#[test]
fn hex_digits_of_bytes_are_no_numbers() {
    assert_eq!(numbers("hex", "01 03 00"), []);
    assert_eq!(numbers("utf-8", "01 03 00").len(), 3);
}

#[test]
fn the_numbers_of_a_message_are_limited() {
    assert_eq!(numbers_in(&"a=1 ".repeat(1_000)).len(), MAX_NUMBERS);
    assert_eq!(numbers_in(&"1 ".repeat(1_000)).len(), MAX_NUMBERS);
    assert_eq!(numbers_in(&format!("{{\"v\":[{}1]}}", "1,".repeat(1_000))).len(), MAX_ITEMS);
    assert_eq!(numbers_in(&format!("{}=1 b=2", "a".repeat(300))), [("b".to_owned(), 2.0)]);
    let deep = format!("{}1{}", "{\"abcdefgh\":".repeat(100), "}".repeat(100));
    assert_eq!(numbers_in(&deep), []);
    let deeper = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert!(numbers_in(&deeper).len() <= 1);
}

proptest::proptest! {
    #[test]
    fn any_text_has_few_finite_numbers(text in r"(\PC|[ -~\t\n\r\x00]){0,200}") {
        check(&text);
    }

    #[test]
    fn anything_like_numbers_has_few_finite_numbers(text in r#"[-0-9.eE+:=,; >|§$!*ANaé温_/{}\[\]"\n]{0,80}"#) {
        check(&text);
    }

    #[test]
    fn a_pair_is_found_in_any_line(name in "[a-z_温][a-z0-9_]{0,10}", value in -1e9f64..1e9, rest in "[ a-z]{0,20}") {
        let expected = vec![(name.clone(), value)];
        for separator in ["=", ":", " = ", ": ", "：", "＝", " ： "] {
            let line = format!("{rest} {name}{separator}{value} {rest}");
            proptest::prop_assert_eq!(&numbers_in(&line), &expected);
        }
    }

    #[test]
    fn hexadecimal_numbers_have_their_value(value in proptest::num::u32::ANY, unit in "[ ;,)]?") {
        let expected = vec![("x".to_owned(), f64::from(value))];
        for line in [format!("x=0x{value:x}{unit}"), format!("x: 0X{value:08X}{unit}")] {
            proptest::prop_assert_eq!(&numbers_in(&line), &expected, "{}", line);
        }
    }

    #[test]
    fn a_part_of_something_longer_is_no_number(
        parts in proptest::collection::vec(0u32..100_000, 3..6),
        sign in "[-+]?",
        separator in "[-,/.:=：]",
    ) {
        let parts: Vec<String> = parts.iter().map(u32::to_string).collect();
        let line = format!("x={sign}{} y=1", parts.join(&separator));
        proptest::prop_assert_eq!(numbers_in(&line), vec![("y".to_owned(), 1.0)], "{}", line);
    }

    #[test]
    fn every_occurrence_of_a_name_is_found(values in proptest::collection::vec(-1e6f64..1e6, 1..20)) {
        let line: String = values.iter().map(|value| format!("t={value} ")).collect();
        let found = numbers_in(&line);
        proptest::prop_assert_eq!(named(&found, "t"), values);
    }
}

fn check(text: &str) {
    let found = numbers_in(text);
    assert!(found.len() <= MAX_NUMBERS, "{text:?}");
    for (name, value) in found {
        assert!(value.is_finite() && name.len() <= MAX_NAME_BYTES, "{text:?}");
    }
}
