use super::*;

#[test]
fn one_line_of_everything() {
    let json = Json::object([
        ("a", 1u64.into()),
        ("b", vec![Json::Null, true.into(), 0.5.into()].into()),
        ("c \"\\\n\u{1}é", "x".into()),
        ("d", f64::NAN.into()),
        ("e", Json::object([])),
        ("f", None::<u64>.into()),
    ]);
    assert_eq!(
        json.to_string(),
        r#"{"a":1,"b":[null,true,0.5],"c \"\\\n\u0001é":"x","d":null,"e":{},"f":null}"#
    );
}
