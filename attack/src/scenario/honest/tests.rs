use super::*;

const REPORT: &str = "\
Running 10s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.98ms    2.19ms  50.25ms   78.31%
    Req/Sec    62.40k     4.21k   67.98k    68.50%
  Latency Distribution
     50%  860.00us
     99%   11.02ms
  619355 requests in 10.09s, 76.25MB read
Requests/sec:  61382.56
Transfer/sec:      7.56MB
";

#[test]
fn a_clean_report() {
    let honest = parse_wrk(REPORT).unwrap();
    let expected = Honest {
        requests: 619_355,
        rps: 61_382.56,
        p99_ms: 11.02,
        failures: 0,
    };
    assert_eq!(honest, expected);
}

#[test]
fn errors_and_statuses_are_failures() {
    let text = REPORT.replace(
        "Requests/sec:",
        "  Socket errors: connect 1, read 20, write 0, timeout 300\n  \
         Non-2xx or 3xx responses: 4000\nRequests/sec:",
    );
    assert_eq!(parse_wrk(&text).unwrap().failures, 4321);
}

#[test]
fn every_unit() {
    for (text, expected) in [("812.00us", 0.812), ("1.20s", 1200.0), ("1.50m", 90e3)] {
        let honest = parse_wrk(&REPORT.replace("11.02ms", text)).unwrap();
        assert!((honest.p99_ms - expected).abs() < 1e-9, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_not_guessed() {
    for (good, broken) in [
        ("11.02ms", "11.02 parsecs"),
        ("11.02ms", "-nanms"),
        ("619355 requests", "many requests"),
        ("Requests/sec:  61382.56", "Requests/sec:  fast"),
        ("     99%   11.02ms\n", ""),
        ("  619355 requests in 10.09s, 76.25MB read\n", ""),
    ] {
        assert!(
            parse_wrk(&REPORT.replace(good, broken)).is_err(),
            "{broken}"
        );
    }
}

const H2LOAD_REPORT: &str = "\
starting benchmark...
finished in 2.00s, 70848.50 req/s, 2.30MB/s
requests: 141696 total, 141760 started, 141696 done, 141690 succeeded, 6 failed, 2 errored, 1 timeout
status codes: 141690 2xx, 0 3xx, 4 4xx, 0 5xx
traffic: 4.60MB (4818872) total, 1.35MB (1417976) headers (space savings 94.25%), 830.25KB (850176) data
                     min         max         mean         sd        +/- sd
time for request:       63us      4.52ms       690us       319us    75.90%
time for connect:      153us       324us       247us        61us    75.00%
time to 1st byte:     1.84ms      2.11ms      1.99ms        89us    75.00%
req/s           :    8768.83     8917.27     8853.25       47.51    62.50%
";

#[test]
fn a_report_of_h2load() {
    let mut times = Spread::default();
    for line in ["1795612022215274\t200\t1002", "1795612022215274\t-1\t9000"] {
        if let Some(time) = log_line(line).unwrap() {
            times.add(time);
        }
    }
    let expected = Honest {
        requests: 141_690,
        rps: 70_848.5,
        p99_ms: 1.002,
        failures: 6,
    };
    assert_eq!(parse_h2load(H2LOAD_REPORT, &times).unwrap(), expected);
    for (good, broken) in [
        ("70848.50 req/s", "many req/s"),
        ("141690 succeeded", "most succeeded"),
        ("6 failed", "none failed"),
        ("finished in", "finished after"),
        ("requests: ", "answers: "),
    ] {
        let text = H2LOAD_REPORT.replace(good, broken);
        assert!(parse_h2load(&text, &times).is_err(), "{broken}");
    }
    for broken in ["", "1", "1\t200", "1\t200\tx", "1 200 30"] {
        assert_eq!(log_line(broken), None, "{broken}");
    }
}
