//! Error bodies: whatever Graph sends in place of an error, what is shown of it is short and cannot steer a terminal.

use entra_mirror::graph::fuzzing;

pub fn run(data: &[u8]) {
    let (code, message) = fuzzing::error_body(data);
    for text in [&code, &message] {
        assert!(text.chars().count() <= 500, "{} characters are shown", text.chars().count());
        assert!(!text.contains(char::is_control), "a control character is shown: {text:?}");
    }
}
