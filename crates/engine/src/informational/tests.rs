use super::*;

fn send(status: u16) -> Result<(), InformationalError> {
    let status = StatusCode::from_u16(status).expect("a status code");
    send_informational(status, FieldSection::new())
}

#[test]
fn only_what_a_handler_sends_is_taken() {
    assert_eq!(send(103), Err(InformationalError::NotInHandler));
    open();
    assert!(!close(), "nothing was sent");
    open();
    assert_eq!(send(103), Ok(()));
    assert_eq!(send(102), Ok(()));
    assert!(close());
    let sent: Vec<u16> = take().iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(sent, [103, 102]);
    assert_eq!(send(103), Err(InformationalError::NotInHandler));
    assert!(!close());
}

#[test]
fn final_status_codes_and_101_are_refused() {
    open();
    for status in [101, 200, 404, 999] {
        assert_eq!(send(status), Err(InformationalError::Status), "{status}");
    }
    assert!(!close());
}

#[test]
fn there_is_a_bound() {
    open();
    for _ in 0..WAITING_MAX {
        assert_eq!(send(103), Ok(()));
    }
    assert_eq!(send(103), Err(InformationalError::TooMany));
    assert!(close());
    assert_eq!(take().len(), WAITING_MAX);
}
