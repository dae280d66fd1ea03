//! Reading, against what `sigs.k8s.io/yaml` v1.6.0 was measured to read.

use serde_json::{Value, json};

use super::{Address, Manifest, Path};

/// The JSON of a text with one document.
fn read(text: &str) -> Value {
    let manifest = Manifest::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    manifest
        .value(&Address::document(0), &Path::default())
        .unwrap()
}

/// Scalars behind `v: `, and the JSON that `YAMLToJSON` gives for them.
const SCALARS: &[(&str, &str)] = &[
    ("y", "true"),
    ("Y", "true"),
    ("n", "false"),
    ("N", "false"),
    ("yes", "true"),
    ("Yes", "true"),
    ("YES", "true"),
    ("yEs", "\"yEs\""),
    ("no", "false"),
    ("NO", "false"),
    ("on", "true"),
    ("On", "true"),
    ("off", "false"),
    ("OFF", "false"),
    ("true", "true"),
    ("True", "true"),
    ("TRUE", "true"),
    ("tRue", "\"tRue\""),
    ("~", "null"),
    ("null", "null"),
    ("Null", "null"),
    ("NULL", "null"),
    ("nULL", "\"nULL\""),
    ("0", "0"),
    ("-0", "0"),
    ("+0", "0"),
    ("007", "7"),
    ("08", "8"),
    ("0777", "511"),
    ("-0777", "-511"),
    ("0o17", "15"),
    ("0O17", "15"),
    ("0b101", "5"),
    ("-0b11", "-3"),
    ("0B1", "1"),
    ("0x1F", "31"),
    ("-0x1f", "-31"),
    ("0X1f", "31"),
    ("1_000", "1000"),
    ("_1", "\"_1\""),
    ("1_", "1"),
    ("1__0", "10"),
    ("1e3", "1000"),
    ("1E3", "1000"),
    ("1e+3", "1000"),
    ("1e-3", "0.001"),
    ("1.5", "1.5"),
    ("1.10", "1.1"),
    ("1.", "1"),
    (".5", "0.5"),
    (".5e2", "50"),
    ("+.5", "0.5"),
    ("-.5", "-0.5"),
    ("._5", "\"._5\""),
    (".5_0", "0.5"),
    ("1.0", "1"),
    ("-1.0", "-1"),
    ("1e400", "\"1e400\""),
    ("12345678901234567890", "12345678901234567890"),
    ("9223372036854775807", "9223372036854775807"),
    ("18446744073709551615", "18446744073709551615"),
    ("18446744073709551616", "18446744073709552000"),
    ("-9223372036854775809", "-9223372036854776000"),
    ("1e21", "1e+21"),
    ("1e20", "100000000000000000000"),
    ("123e4567", "\"123e4567\""),
    ("nan", "\"nan\""),
    ("inf", "\"inf\""),
    ("2001-01-01", "\"2001-01-01\""),
    (
        "2001-12-14t21:59:43.10-05:00",
        "\"2001-12-14t21:59:43.10-05:00\"",
    ),
    ("1:30", "\"1:30\""),
    ("190:20:30.15", "\"190:20:30.15\""),
    ("1.2.3", "\"1.2.3\""),
    ("v1", "\"v1\""),
    ("0x", "\"0x\""),
    ("0b", "\"0b\""),
    ("0b2", "\"0b2\""),
    ("1e", "\"1e\""),
    ("1e3.5", "\"1e3.5\""),
    ("<<", "\"<<\""),
    ("=", "\"=\""),
    ("+", "\"+\""),
    (".", "\".\""),
    ("..", "\"..\""),
    ("--", "\"--\""),
    ("0.1e1", "1"),
    ("0x1.8p1", "\"0x1.8p1\""),
    ("0x1p4", "\"0x1p4\""),
    ("1_000.5", "1000.5"),
    ("0_7", "7"),
    ("00", "0"),
    ("-00", "0"),
    ("0_0x1", "\"0_0x1\""),
    ("+0x10", "16"),
    ("+0b1", "1"),
    ("1.5_5", "1.55"),
    ("_", "\"_\""),
    ("1,000", "\"1,000\""),
    ("0xFFFFFFFFFFFFFFFFF", "\"0xFFFFFFFFFFFFFFFFF\""),
    ("+1", "1"),
    ("++1", "\"++1\""),
    ("!!str", "\"\""),
    ("1e-7", "1e-07"),
    ("0.000001", "1e-06"),
    ("1e6", "1000000"),
    ("123456789.5", "123456789.5"),
    ("!!str 5", "\"5\""),
    ("!!int '5'", "5"),
    ("!!float 5", "5"),
    ("!!bool 'yes'", "true"),
    ("!foo 5", "\"5\""),
    ("!!binary aGk=", "\"hi\""),
    ("!!str", "\"\""),
    ("! 5", "\"5\""),
    ("!!float '1.5'", "1.5"),
    ("!!str ~", "\"~\""),
    ("! yes", "\"yes\""),
    ("!!timestamp 2001-01-01", "\"2001-01-01\""),
    ("!<tag:yaml.org,2002:int> '7'", "7"),
    ("!!null ''", "null"),
];

/// Keys, and what they are in the JSON.
const KEYS: &[(&str, &str)] = &[
    ("1", "1"),
    ("1.10", "1.1"),
    ("1.5", "1.5"),
    ("1e6", "1e+06"),
    ("1000000.0", "1e+06"),
    ("123456.5", "123456.5"),
    ("0.00001", "1e-05"),
    ("yes", "true"),
    ("0x10", "16"),
    ("2001-01-01", "2001-01-01"),
    ("16777217.0", "1.6777216e+07"),
    ("1e-5", "1e-05"),
    (".inf", ".inf"),
];

/// Whole texts.
const TEXTS: &[(&str, &str)] = &[
    (
        "a: &x {p: 1, q: 2}\nb:\n  p: 9\n  <<: *x\n",
        "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":1,\"q\":2}}",
    ),
    (
        "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  p: 9\n",
        "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":9,\"q\":2}}",
    ),
    (
        "a: &x {p: 1}\nc: &y {p: 2, r: 3}\nb:\n  <<: [*x, *y]\n",
        "{\"a\":{\"p\":1},\"b\":{\"p\":1,\"r\":3},\"c\":{\"p\":2,\"r\":3}}",
    ),
    (
        "a: {\"<<\": {z: 1}, k: 2}\n",
        "{\"a\":{\"\\u003c\\u003c\":{\"z\":1},\"k\":2}}",
    ),
    ("a: {<<: {z: 1}, k: 2}\n", "{\"a\":{\"k\":2,\"z\":1}}"),
    (
        "a: {b: {c: 1}, <<: {b: {d: 1}}}\n",
        "{\"a\":{\"b\":{\"d\":1}}}",
    ),
    (
        "a: {<<: {b: {d: 1}}, b: {c: 1}}\n",
        "{\"a\":{\"b\":{\"c\":1}}}",
    ),
    ("a: |\n  x", "{\"a\":\"x\"}"),
    ("a: |+\n  x", "{\"a\":\"x\"}"),
    ("a: >\n  x", "{\"a\":\"x\"}"),
    ("a: !!merge x\n", "{\"a\":\"x\"}"),
    ("? a\n: b\n", "{\"a\":\"b\"}"),
    ("---\n", "null"),
    ("[a: b, c]\n", "[{\"a\":\"b\"},\"c\"]"),
    ("{a, b: }\n", "{\"a\":null,\"b\":null}"),
    ("a: {? x : y}\n", "{\"a\":{\"x\":true}}"),
    ("a: -b\n", "{\"a\":\"-b\"}"),
    ("a: ?b\n", "{\"a\":\"?b\"}"),
    ("a: :b\n", "{\"a\":\":b\"}"),
    ("a: \u{200b}b\n", "{\"a\":\"\u{200b}b\"}"),
    ("a: [1,\n]\n", "{\"a\":[1]}"),
    ("a: {x: 1\n}\n", "{\"a\":{\"x\":1}}"),
    ("a: &x 5\nb: *x\n? *x\n: 7\n", "{\"5\":7,\"a\":5,\"b\":5}"),
    ("a: !!str &x 5\n", "{\"a\":\"5\"}"),
    (
        "a: 0777777777777777777777777\n",
        "{\"a\":7.777777777777778e+23}",
    ),
    ("a: +1_0\n", "{\"a\":10}"),
    ("a: -_1\n", "{\"a\":-1}"),
    ("a: 1_e3\n", "{\"a\":1000}"),
    ("a: 12e03\n", "{\"a\":12000}"),
    ("a: 1e3_0\n", "{\"a\":1e+30}"),
    ("a: -.5e1\n", "{\"a\":-5}"),
    ("a: +.5e1_0\n", "{\"a\":5000000000}"),
    ("a: 0.\n", "{\"a\":0}"),
    ("a: 00.5\n", "{\"a\":0.5}"),
    ("a: 09.5\n", "{\"a\":9.5}"),
    ("a: 0b12\n", "{\"a\":\"0b12\"}"),
    ("a: -0b\n", "{\"a\":\"-0b\"}"),
    ("a: -0o7\n", "{\"a\":-7}"),
    // Files that end inside a block scalar.
    ("a: |\n  x\n  ", "{\"a\":\"x\\n\"}"),
    ("a: |\n  x\n\n ", "{\"a\":\"x\\n\"}"),
    ("a: |+\n  x\n  ", "{\"a\":\"x\\n\"}"),
    ("a: |-\n  x", "{\"a\":\"x\"}"),
    ("a: |\n  x\n   ", "{\"a\":\"x\\n \"}"),
    ("a: >\n  x\n\n  y", "{\"a\":\"x\\ny\"}"),
    ("a: |\n  x\r", "{\"a\":\"x\\n\"}"),
    ("a: |", "{\"a\":\"\"}"),
    ("a: |\n  ", "{\"a\":\"\"}"),
    ("a: |+\n  ", "{\"a\":\"\"}"),
    ("a: |+\n  \n", "{\"a\":\"\\n\"}"),
    ("a:\n- |\n x", "{\"a\":[\"x\"]}"),
    ("a: |\n  x #", "{\"a\":\"x #\"}"),
    ("a: |\n  x\n# c", "{\"a\":\"x\\n\"}"),
    ("a: |\n  x\n  # c", "{\"a\":\"x\\n# c\"}"),
    ("a: |\n  x\n # c", "{\"a\":\"x\\n\"}"),
];

/// How a file can end inside a literal block, and its text behind `|`, `|-` and `|+`.
const ENDS: &[(&str, [&str; 3])] = &[
    ("  v", ["v", "v", "v"]),
    ("  v  ", ["v  ", "v  ", "v  "]),
    ("  v\n", ["v\n", "v", "v\n"]),
    ("  v  \n", ["v  \n", "v  ", "v  \n"]),
    ("  v\n  ", ["v\n", "v", "v\n"]),
    ("  v  \n  ", ["v  \n", "v  ", "v  \n"]),
    ("  v\n   ", ["v\n ", "v\n ", "v\n "]),
    ("  v  \n   ", ["v  \n ", "v  \n ", "v  \n "]),
    ("  v\n\n  ", ["v\n", "v", "v\n\n"]),
    ("  v\n  \n   ", ["v\n\n ", "v\n\n ", "v\n\n "]),
];

#[test]
fn a_block_at_the_end_of_a_file_is_read_as_kubernetes_reads_it() {
    for (body, texts) in ENDS {
        for (header, expected) in ["|", "|-", "|+"].iter().zip(texts) {
            let text = format!("a: {header}\n{body}");
            assert_eq!(read(&text), json!({ "a": expected }), "{text:?}");
        }
    }
}

#[test]
fn scalars_are_read_as_kubernetes_reads_them() {
    for (text, expected) in SCALARS {
        let expected: Value = serde_json::from_str(expected).unwrap();
        let value = read(&format!("v: {text}\n"));
        assert!(
            super::json::same(&value["v"], &expected),
            "{text}: {value} is not {expected}"
        );
        assert_eq!(value["v"].is_i64(), expected.is_i64(), "{text}");
    }
}

#[test]
fn keys_are_read_as_kubernetes_reads_them() {
    for (text, expected) in KEYS {
        assert_eq!(
            read(&format!("{text}: v\n")),
            json!({ *expected: "v" }),
            "{text}"
        );
    }
}

#[test]
fn texts_are_read_as_kubernetes_reads_them() {
    for (text, expected) in TEXTS {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert!(
            super::json::same(&read(text), &expected),
            "{text:?}: {}",
            read(text)
        );
    }
}

#[test]
fn numbers_that_json_has_not_stay_text() {
    for text in [".inf", "-.Inf", "+.INF", ".nan", ".NaN"] {
        assert_eq!(read(&format!("v: {text}\n")), json!({ "v": text }));
    }
}
