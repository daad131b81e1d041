use super::*;

fn numbers(identity: &Identity) -> (u32, u32, Vec<u32>) {
    let groups = identity.groups.iter().map(|gid| gid.as_raw()).collect();
    (identity.uid.as_raw(), identity.gid.as_raw(), groups)
}

#[test]
fn users_as_people_write_them() {
    let root_groups = numbers(&Identity::look_up("root").expect("root")).2;
    for (text, uid, gid) in [
        ("root", 0, 0),
        ("root:0", 0, 0),
        ("root:root", 0, 0),
        ("root:12345", 0, 12345),
    ] {
        let found = Identity::look_up(text).expect(text);
        let (found_uid, found_gid, groups) = numbers(&found);
        assert_eq!((found_uid, found_gid), (uid, gid), "{text}");
        // Of the database, with its group, and no more.
        assert!(groups.contains(&gid), "{text}: {groups:?}");
        let others = groups.iter().filter(|group| **group != gid);
        assert!(others.clone().all(|group| root_groups.contains(group)));
    }
}

#[test]
fn numbers_need_no_entry_and_bring_no_other_groups() {
    for (text, uid, gid) in [
        ("0", 0, 0),
        ("54321:12345", 54321, 12345),
        ("54321:root", 54321, 0),
        ("0:12345", 0, 12345),
    ] {
        let found = Identity::look_up(text).expect(text);
        assert_eq!(numbers(&found), (uid, gid, vec![gid]), "{text}");
    }
}

#[test]
fn what_is_no_user_is_told_apart() {
    for text in ["", ":", ":root", "root:", "root:root:root", "a\0b", "0:\0"] {
        let error = Identity::look_up(text).expect_err(text);
        assert!(matches!(error, UserError::Malformed(_)), "{error:?}");
        assert!(error.to_string().contains("as in"), "{error}");
    }
    // A number without a group needs an entry, for its group.
    for text in [
        "no-such-user",
        "no-such-user:root",
        "3999999999",
        "-1",
        "4294967295:0",
    ] {
        let error = Identity::look_up(text).expect_err(text);
        assert!(matches!(error, UserError::UnknownUser(_)), "{error:?}");
    }
    for group in ["no-such-group", "4294967295", "-1"] {
        let error = Identity::look_up(&format!("root:{group}")).expect_err(group);
        assert_eq!(
            error.to_string(),
            format!("there is no group `{group}` on this machine")
        );
    }
}

#[test]
fn only_root_becomes_somebody_else() {
    let me = format!("{}:{}", Uid::current(), Gid::current());
    let identity = Identity::resolve(&me).expect("it is who we are");
    assert!(identity.is_current());
    let other = format!("{}:{}", Uid::current().as_raw() + 1, Gid::current());
    match Identity::resolve(&other) {
        Ok(identity) => assert!(Uid::effective().is_root() && !identity.is_current()),
        Err(error) => {
            assert!(!Uid::effective().is_root());
            assert!(error.to_string().contains("only root"), "{error}");
        }
    }
}
