use super::*;

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median([]), None);
    assert_eq!(median([3.0]), Some(3.0));
    assert_eq!(median([4.0, 1.0]), Some(2.5));
    assert_eq!(median([9.0, 1.0, f64::NAN, 2.0]), Some(2.0));
}

#[test]
fn port_and_address_are_filled_in() {
    let command = ["server", "--listen=127.0.0.1:{port}", "{address}"].map(str::to_owned);
    let address = "127.0.0.1:8081".parse().unwrap();
    assert_eq!(
        fill_in(&command, address),
        ["server", "--listen=127.0.0.1:8081", "127.0.0.1:8081"]
    );
}
