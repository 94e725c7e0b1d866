//! Request heads: what is taken for one, httparse takes for the same; what decides on framing, a naive reading decides
//! alike; and where a head ends does not depend on how much of it has come.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut fields = Vec::new();
    let ours = handlers::fuzz::head(bytes, &mut |name, value| fields.push((name, value)));
    let mut headers = [httparse::EMPTY_HEADER; 1024];
    let mut parsed = httparse::Request::new(&mut headers);
    // An empty line before a head is nothing to httparse; whoever calls our reader has left it out.
    let theirs = if bytes.starts_with(b"\r") || bytes.starts_with(b"\n") { return } else { parsed.parse(bytes) };
    let head = match ours {
        Ok(head) => head,
        Err(None) => {
            assert!(!matches!(theirs, Ok(httparse::Status::Complete(_))), "they have seen the end of it");
            return;
        }
        Err(Some(status)) => return assert!([400, 431, 505].contains(&status), "{status}"),
    };
    // The bytes of the head are all that matters: no beginning of it is a head, and what follows is not looked at.
    assert_eq!(handlers::fuzz::head(&bytes[..head.len], &mut |_, _| ()).map(|head| head.len).ok(), Some(head.len));
    assert!(matches!(handlers::fuzz::head(&bytes[..head.len - 1], &mut |_, _| ()), Err(None)));
    assert!(bytes[..head.len].iter().all(|byte| !matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)));
    // To httparse, HTTP/1.2 and later are nothing, nor is a target that is not UTF-8.
    if theirs != Err(httparse::Error::Version) && std::str::from_utf8(head.target).is_ok() {
        assert_eq!(theirs, Ok(httparse::Status::Complete(head.len)));
        assert_eq!(parsed.method.map(str::as_bytes), Some(head.method));
        assert_eq!(parsed.path.map(str::as_bytes), Some(head.target));
        assert_eq!(parsed.version, Some(head.minor));
        let theirs = parsed.headers.iter().map(|header| (header.name.as_bytes(), header.value.trim_ascii()));
        assert!(theirs.eq(fields.iter().copied()));
    }
    judge(&head, &fields);
});

/// Framing (RFC 9112 section 6.3) and host, read again the long way.
fn judge(head: &handlers::fuzz::Head<'_>, fields: &[(&[u8], &[u8])]) {
    let all = |wanted: &str| -> Vec<&[u8]> {
        fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
            .map(|(_, value)| *value)
            .collect()
    };
    let (lengths, codings, hosts) = (all("content-length"), all("transfer-encoding"), all("host"));
    let is_length = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let doubtful = lengths.len() + codings.len() > 1
        || !lengths.iter().all(is_length)
        || hosts.len() > 1
        || (head.minor == 1 && hosts.is_empty())
        || (head.minor == 0 && !codings.is_empty());
    if doubtful {
        assert_eq!((head.refused, head.keep_alive), (Some(400), false));
    }
    if !codings.is_empty() && !codings[0].eq_ignore_ascii_case(b"chunked") {
        assert!(head.refused.is_some());
    }
    let none = codings.is_empty() && lengths.iter().all(|length| length.iter().all(|&byte| byte == b'0'));
    assert!(head.body || none, "a body that nobody reads is the next request");
    assert!(head.host.iter().all(|byte| byte.is_ascii_graphic()) || head.refused.is_some());
    // A fragment, which no client sends, is refused when the path is resolved.
    assert!(head.path.is_empty() || matches!(head.path[0], b'/' | b'#'));
    assert!(head.query.is_empty() || head.query[0] == b'?');
    let closes = all("connection")
        .iter()
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
    assert!(!closes || !head.keep_alive);
}
