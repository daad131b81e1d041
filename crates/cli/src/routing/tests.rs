use std::borrow::Cow;
use std::net::IpAddr;

use ajayserver::{Method, Version};
use proptest::prelude::*;

use super::pattern::Segment;
use super::*;
use crate::config::Wanted;

struct Asked {
    method: Method,
    fields: Vec<(String, String)>,
    query: Option<String>,
    client: Option<IpAddr>,
    version: Version,
}

fn get() -> Asked {
    Asked {
        method: Method::GET,
        fields: Vec::new(),
        query: None,
        client: Some([127, 0, 0, 1].into()),
        version: Version::HTTP_11,
    }
}

impl Facts for Asked {
    fn method(&self) -> &Method {
        &self.method
    }

    fn version(&self) -> Version {
        self.version
    }

    fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_bytes())
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}

fn table(patterns: &[&str]) -> Routes {
    let mut builder = RoutesBuilder::default();
    for pattern in patterns {
        let route = builder.route(Conditions::default());
        match pattern.strip_prefix('~') {
            Some(regex) => builder.regex(route, &regex::Regex::new(regex).unwrap()),
            None if pattern.is_empty() => builder.anywhere(route),
            None => builder.pattern(route, &Pattern::parse(pattern).unwrap()),
        }
    }
    builder.build()
}

fn found(routes: &Routes, path: &str) -> Option<(u32, Vec<String>)> {
    match routes.find(path, &get()) {
        Outcome::Found(found) => {
            let value = |at: usize| found.captures.get(at, path).unwrap().to_owned();
            Some((found.route, (0..found.names.len()).map(value).collect()))
        }
        _ => None,
    }
}

#[test]
fn paths_have_one_form() {
    for (path, normal) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("//a//b", "//a//b"),
        ("/%61%2D%2e%5f%7E", "/a-._~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%20b%3f", "/a%20b%3F"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/../b", "/b"),
        ("/../../a", "/a"),
        ("/a//../b", "/a/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/...", "/a/..."),
        ("/%2561", "/%2561"),
    ] {
        assert_eq!(normalise(path, false).as_deref(), Ok(normal), "{path}");
        let again = normalise(normal, false);
        assert_eq!(again.as_deref(), Ok(normal), "twice: {path}");
    }
    assert!(matches!(normalise("/a/b.css", false), Ok(Cow::Borrowed(_))));
}

#[test]
fn some_paths_are_refused() {
    for (path, error) in [
        ("", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("a/b", PathError::NotAbsolute),
        ("/%00", PathError::Nul),
        ("/a%2fb", PathError::Separator),
        ("/a%2Fb", PathError::Separator),
        ("/a%5cb", PathError::Separator),
        ("/a\\b", PathError::Separator),
        ("/%", PathError::Percent),
        ("/%4", PathError::Percent),
        ("/%zz", PathError::Percent),
        ("/%+1", PathError::Percent),
    ] {
        assert_eq!(normalise(path, false), Err(error), "{path}");
    }
    assert_eq!(normalise("/a%2fb%5C", true).as_deref(), Ok("/a%2Fb%5C"));
    assert_eq!(normalise("/%00", true), Err(PathError::Nul));
    assert_eq!(normalise("/a\\b", true), Err(PathError::Separator));
}

#[test]
fn routes_come_in_their_order() {
    let routes = table(&[
        "",
        "/*",
        "~^/a/(?<last>[0-9]+)$",
        "/a/*",
        "/a/{id}",
        "/a/b",
        "/{x}/b/c",
        "/a/b/*",
    ]);
    for (path, route, captures) in [
        ("/a/b", 5, vec![]),
        ("/a/c", 4, vec!["c"]),
        ("/a/c/d", 3, vec!["c/d"]),
        ("/a/", 3, vec![""]),
        ("/a/b/c", 7, vec!["c"]),
        ("/z/b/c", 6, vec!["z"]),
        ("/a", 1, vec!["a"]),
        ("//b/c", 1, vec!["/b/c"]),
        ("*", 0, vec![]),
    ] {
        let captures = captures.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&routes, path), Some((route, captures)), "{path}");
    }
    let routes = table(&["", "~^/a/(?<last>[0-9]+)$", "~^/a"]);
    assert_eq!(found(&routes, "/a/12"), Some((1, vec!["12".to_owned()])));
    assert_eq!(found(&routes, "/a/x"), Some((2, vec![])));
    assert_eq!(found(&routes, "/b"), Some((0, vec![])));
    assert_eq!(found(&table(&["/a"]), "/b"), None);
}

#[test]
fn more_conditions_go_first() {
    let mut builder = RoutesBuilder::default();
    let pattern = Pattern::parse("/a").unwrap();
    let beta = ("x-beta".to_owned(), Wanted::Present);
    let post = Conditions {
        methods: vec![Method::POST],
        ..Conditions::default()
    };
    let both = Conditions {
        headers: vec![beta],
        ..post.clone()
    };
    for conditions in [post, both] {
        let route = builder.route(conditions);
        builder.pattern(route, &pattern);
    }
    let routes = builder.build();
    let asked = Asked {
        method: Method::POST,
        ..get()
    };
    assert!(matches!(routes.find("/a", &asked), Outcome::Found(it) if it.route == 0));
    let asked = Asked {
        fields: vec![("x-beta".to_owned(), String::new())],
        ..asked
    };
    assert!(matches!(routes.find("/a", &asked), Outcome::Found(it) if it.route == 1));
    assert!(matches!(routes.find("/a", &get()), Outcome::NotTheMethod));
    assert_eq!(routes.allowed("/a", &get()), [&Method::POST]);
    assert!(matches!(routes.find("/b", &get()), Outcome::None));
}

#[test]
fn each_condition_is_asked() {
    let network = |text: &str, bits| Network {
        address: text.parse().unwrap(),
        bits,
    };
    let conditions = Conditions {
        methods: vec![Method::GET],
        query: vec![
            ("a".to_owned(), Wanted::Exactly("1".to_owned())),
            ("b".to_owned(), Wanted::Absent),
        ],
        client: vec![network("10.0.0.0", 8), network("2001:db8::", 32)],
        versions: vec![Version::HTTP_2],
        ..Conditions::default()
    };
    let mut builder = RoutesBuilder::default();
    let route = builder.route(conditions);
    builder.anywhere(route);
    let routes = builder.build();
    let good = || Asked {
        query: Some("x&a=1".to_owned()),
        client: Some([10, 1, 2, 3].into()),
        version: Version::HTTP_2,
        ..get()
    };
    let is_found = |asked: &Asked| matches!(routes.find("/", asked), Outcome::Found(_));
    assert!(is_found(&good()));
    let mapped = "::ffff:10.0.0.1".parse().ok();
    assert!(is_found(&Asked {
        client: mapped,
        ..good()
    }));
    let inside = "2001:db8:1::".parse().ok();
    assert!(is_found(&Asked {
        client: inside,
        ..good()
    }));
    assert!(is_found(&Asked {
        method: Method::HEAD,
        ..good()
    }));
    assert!(!is_found(&Asked {
        method: Method::PUT,
        ..good()
    }));
    assert!(!is_found(&Asked {
        client: Some([11, 0, 0, 1].into()),
        ..good()
    }));
    assert!(!is_found(&Asked {
        client: None,
        ..good()
    }));
    assert!(!is_found(&Asked {
        version: Version::HTTP_3,
        ..good()
    }));
    for query in ["", "a", "a=2", "a=1&b", "a=1&b=0", "aa=1"] {
        let query = Some(query.to_owned());
        assert!(!is_found(&Asked { query, ..good() }));
    }
}

#[test]
fn hosts_are_found_by_name_then_by_the_longest_asterisk() {
    let mut hosts = Hosts::default();
    for (site, host) in ["a.example", "*.a.example", "*.example", "x.b.a.example"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(hosts.insert(Some(host), site as u32), Ok(()));
    }
    assert_eq!(hosts.insert(Some("*.example"), 9), Err(2));
    for (host, site) in [
        ("a.example", Some(0)),
        ("A.Example.", Some(0)),
        ("b.a.example", Some(1)),
        ("y.b.a.example", Some(1)),
        ("x.b.a.example", Some(3)),
        ("b.example", Some(2)),
        ("example", None),
        ("", None),
    ] {
        assert_eq!(hosts.find(host), site, "{host}");
    }
    assert_eq!(hosts.insert(None, 4), Ok(()));
    assert_eq!(hosts.insert(None, 5), Err(4));
    assert_eq!(hosts.find("example"), Some(4));
    assert_eq!(hosts.find(&"a.".repeat(4000)), Some(4));
    assert_eq!(host_of("[::1]:80"), "[::1]");
    assert_eq!(host_of("a.example:80"), "a.example");
}

/// Whether a pattern is for a path, part by part.
fn matches(segments: &[Segment], parts: &[&str]) -> bool {
    match (segments, parts) {
        ([], []) => true,
        ([Segment::Rest], [_, ..]) => true,
        ([Segment::Literal(text), segments @ ..], [part, parts @ ..]) => {
            **text == **part && matches(segments, parts)
        }
        ([Segment::Capture, segments @ ..], [part, parts @ ..]) => {
            !part.is_empty() && matches(segments, parts)
        }
        _ => false,
    }
}

/// The order of routes as the module's documentation tells it, without a tree.
fn naive(patterns: &[(Pattern, usize)], path: &str) -> Option<u32> {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let all = patterns.iter().enumerate();
    let matching = all.filter(|(_, (pattern, _))| matches(&pattern.segments, &parts));
    let best = matching.min_by_key(|(number, (pattern, conditions))| {
        let is_whole = pattern.names.is_empty();
        let kinds: Vec<u8> = pattern
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Capture => 1,
                Segment::Rest => 2,
            })
            .collect();
        (!is_whole, kinds, std::cmp::Reverse(*conditions), *number)
    });
    best.map(|(number, _)| number as u32)
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("a".to_owned()),
        3 => Just("b".to_owned()),
        1 => Just(String::new()),
        3 => Just("{}".to_owned()),
    ];
    (prop::collection::vec(part, 1..5), any::<bool>()).prop_map(|(parts, has_rest)| {
        let mut text = String::new();
        for (at, part) in parts.iter().enumerate() {
            text.push('/');
            text.push_str(&part.replace("{}", &format!("{{p{at}}}")));
        }
        match has_rest {
            true => text + "/*",
            false => text,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn the_tree_finds_what_a_list_finds(
        texts in prop::collection::vec((pattern(), 0..3_usize), 1..12),
        paths in prop::collection::vec("(/[abc]{0,1}){1,6}", 1..12),
    ) {
        let mut builder = RoutesBuilder::default();
        let mut patterns = Vec::new();
        for (text, count) in texts {
            let pattern = Pattern::parse(&text).unwrap();
            let absent = |number: usize| (format!("x-{number}"), Wanted::Absent);
            let route = builder.route(Conditions {
                headers: (0..count).map(absent).collect(),
                ..Conditions::default()
            });
            builder.pattern(route, &pattern);
            patterns.push((pattern, count));
        }
        let routes = builder.build();
        for path in &paths {
            let by_tree = found(&routes, path).map(|(route, _)| route);
            prop_assert_eq!(by_tree, naive(&patterns, path), "{}", path);
        }
    }

    #[test]
    fn the_normal_form_is_normal(path in "/([ab./]|%2[eEfF]|%61|%C3){0,12}") {
        if let Ok(normal) = normalise(&path, true) {
            let again = normalise(&normal, true);
            prop_assert_eq!(again.as_deref(), Ok(&*normal));
            prop_assert!(!normal.split('/').any(|part| part == "." || part == ".."));
        }
    }
}
