use super::*;

#[test]
fn a_send_window_may_become_negative_but_not_too_large() {
    let mut window = SendWindow::new(100);
    window.take(60);
    assert!(window.change(-100), "SETTINGS_INITIAL_WINDOW_SIZE 0");
    assert_eq!(window.bytes(), 0);
    assert!(window.change(59));
    assert_eq!(window.bytes(), 0, "-1");
    assert!(window.change(2));
    assert_eq!(window.bytes(), 1);
    assert!(window.change(i64::from(WINDOW_MAX) - 1));
    assert_eq!(window.bytes(), WINDOW_MAX);
    assert!(!window.change(1), "2^31");
    assert_eq!(window.bytes(), WINDOW_MAX, "unchanged");
}

#[test]
fn updates_come_in_halves() {
    let mut window = ReceiveWindow::new(100);
    assert!(window.receive(60));
    window.release(49);
    assert_eq!(window.update(100), None);
    window.release(1);
    assert_eq!(window.update(100), Some(50));
    assert_eq!(window.available(), 90);
    assert!(window.receive(90) && !window.receive(1));
}

#[test]
fn only_what_came_is_given_back() {
    let mut window = ReceiveWindow::new(100);
    window.release(1000);
    assert_eq!(window.update(100), None);
    assert!(window.receive(50));
    window.release(1000);
    assert_eq!(window.update(100), Some(50));
    assert_eq!(window.available(), 100);
}

#[test]
fn a_window_grows_with_its_update() {
    let mut window = ReceiveWindow::new(100);
    assert!(window.receive(10));
    window.release(10);
    assert_eq!(window.update(200), Some(110));
    assert_eq!(window.available(), 200);
    assert_eq!(window.update(50), None, "it never shrinks");
}

#[test]
fn windows_double_while_they_are_what_is_slow() {
    let maxima = (400, 600);
    let mut tuner = Tuner::new(100, 200);
    assert!(!tuner.release(49, maxima), "too little to measure");
    assert!(tuner.release(1, maxima));
    assert!(!tuner.release(67, maxima), "one PING at a time");
    assert!(tuner.answer(maxima));
    assert_eq!((tuner.stream(), tuner.connection()), (200, 400));
    assert!(tuner.release(100, maxima));
    tuner.release(100, maxima);
    assert!(tuner.answer(maxima));
    assert_eq!(
        tuner.stream(),
        200,
        "half a window in a round trip is not slow"
    );
    for _ in 0..3 {
        tuner.release(1000, maxima);
        tuner.release(1000, maxima);
        let _ = tuner.answer(maxima);
    }
    assert_eq!((tuner.stream(), tuner.connection()), maxima);
    assert!(!tuner.release(1000, maxima), "no PING at the maximum");
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut tuner = Tuner::new(100, 200);
    tuner.release(40, (400, 400));
    assert!(!tuner.answer((400, 400)));
    assert_eq!((tuner.stream(), tuner.connection()), (100, 200));
}
