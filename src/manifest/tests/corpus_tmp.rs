use super::*;
use serde_json::Value;
#[test]
fn corpus() {
    let rows = std::fs::read_to_string("/work/shared/corpus/undo-cases.jsonl").unwrap();
    let (mut n, mut ok, mut refused, mut parse) = (0, 0, 0, 0);
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let g = |k: &str| row[k].as_str().unwrap_or("").to_owned();
        for (a, b) in [
            ("bad", "good"),
            ("head", "good"),
            ("good", "bad"),
            ("good", "head"),
        ] {
            let (Ok(cur), Ok(old)) = (Manifest::parse(g(a)), Manifest::parse(g(b))) else {
                parse += 1;
                if let Err(e) = Manifest::parse(g(a)) {
                    println!("PARSE {} {e}", g("path"));
                }
                continue;
            };
            for (d, doc) in cur.documents().iter().enumerate() {
                if d >= old.documents().len() || doc.is_empty() {
                    continue;
                }
                let address = Address::document(d);
                let Some(Value::Object(root)) = cur.value(&address, &Path::default()) else {
                    continue;
                };
                for key in root.keys() {
                    let path = Path::default().key(key);
                    let Some(want) = old.value(&address, &path) else {
                        continue;
                    };
                    n += 1;
                    match cur.edit(
                        &address,
                        &[Edit::Restore {
                            path: path.clone(),
                            from: &old,
                            from_address: address,
                        }],
                    ) {
                        Ok(e) => {
                            ok += 1;
                            let new = Manifest::parse(e.text.clone()).unwrap();
                            assert_eq!(new.value(&address, &path), Some(want.clone()));
                        }
                        Err(e) => {
                            refused += 1;
                            println!("RESTORE {} {a}->{b} {e}", g("path"));
                        }
                    }
                    match cur.edit(
                        &address,
                        &[Edit::Set {
                            path: path.clone(),
                            value: want.clone(),
                        }],
                    ) {
                        Ok(e) => {
                            let new = Manifest::parse(e.text.clone()).unwrap();
                            assert_eq!(new.value(&address, &path), Some(want.clone()));
                        }
                        Err(e) => {
                            println!("SET {} {a}->{b} {e}", g("path"));
                        }
                    }
                }
            }
        }
    }
    println!("n {n} ok {ok} refused {refused} parse {parse}");
}
