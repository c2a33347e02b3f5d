//! The simulator's readers of `$filter`: any text is a filter or none, however deep it nests.

use entra_mirror::simulator::fuzzing;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let body = serde_json::json!({
        "id": "a", "createdDateTime": "2026-01-01T00:00:00Z", "status": {"errorCode": 0}, "signInEventTypes": ["interactiveUser"],
        "targetResources": [{"id": "b", "displayName": "B"}], "isInteractive": true,
    });
    let read = fuzzing::filters(text, &body);
    assert_eq!(read, fuzzing::filters(text, &body), "read twice, {text:?} is not the same");
    if text.trim().is_empty() {
        assert_eq!(read, [false, false]);
    }
}
