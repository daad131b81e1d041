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
