use super::*;

fn entry<'a>(name: &'a str, value: &'a str) -> Entry<'a> {
    Entry {
        known: KnownName::from_name(name.as_bytes()),
        name: name.as_bytes(),
        value: value.as_bytes(),
        is_name_valid: value.len().is_multiple_of(2),
        is_value_valid: value.len().is_multiple_of(3),
    }
}

#[test]
fn entries_are_what_they_were_while_the_buffer_goes_round() {
    for bytes_max in [0, 33, 100, 300, 1000, 4096, 65_535, 70_000] {
        let mut table = DynamicTable::new(bytes_max);
        let mut model: VecDeque<(&str, String)> = VecDeque::new();
        let mut insertions = 0;
        let names = [
            "server",
            "x-own",
            "cache-control",
            "x-a-longer-name-of-our-own",
            "",
        ];
        for round in 0..3000_usize {
            let name = names[round % names.len()];
            // Lengths without a period that the table could have.
            let value = format!("{round}").repeat(round * round % 23);
            table.insert(&entry(name, &value));
            insertions += 1;
            model.push_front((name, value));
            let size = |model: &VecDeque<(&str, String)>| -> usize {
                model
                    .iter()
                    .map(|(name, value)| name.len() + value.len() + 32)
                    .sum()
            };
            while size(&model) > bytes_max.min(65_535) as usize {
                model.pop_back();
            }
            assert_eq!((table.len(), table.size()), (model.len(), size(&model)));
            assert!(table.bytes.capacity() <= bytes_max.min(65_535) as usize);
            if round % 7 == 0 {
                for (age, (name, value)) in model.iter().enumerate() {
                    assert_eq!(table.get(age), Some(entry(name, value)));
                }
                assert_eq!(table.get(model.len()), None);
            }
        }
        assert_eq!(table.insertions(), insertions);
    }
}

#[test]
fn a_smaller_table_evicts_and_gives_memory_back() {
    let mut table = DynamicTable::new(4096);
    for _ in 0..200 {
        table.insert(&entry("x-own", "a value of some length"));
    }
    assert!(table.capacity_bytes() > 2000);
    table.insert(&entry("x-own", "new"));
    table.set_bytes_max(100);
    assert_eq!((table.len(), table.bytes_max()), (2, 100));
    assert_eq!(table.get(0), Some(entry("x-own", "new")));
    assert!(table.bytes.capacity() <= 100);
    table.set_bytes_max(0);
    assert!(table.is_empty() && table.size() == 0);
    table.set_bytes_max(4096);
    table.insert(&entry("x-own", "again"));
    assert_eq!(table.get(0), Some(entry("x-own", "again")));
}

#[test]
fn one_entry_of_the_table_s_size_has_room() {
    let mut table = DynamicTable::new(70_000);
    let value = "x".repeat(65_535 - 32 - 1);
    for name in ["a", "b", "c"] {
        table.insert(&entry(name, &value));
        assert_eq!((table.len(), table.size()), (1, 65_535));
        assert_eq!(table.get(0), Some(entry(name, &value)));
    }
    table.insert(&entry("ab", &value));
    assert!(table.is_empty());
}

#[test]
fn small_tables_hold_little_memory() {
    let mut table = DynamicTable::new(4096);
    assert_eq!(table.capacity_bytes(), 0);
    table.insert(&entry("server", "ajay"));
    assert!(table.capacity_bytes() <= 300);
}
