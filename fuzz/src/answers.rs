//! What came back, read as a client reads it, beside the log that was written of it.

#![allow(dead_code, reason = "part of several targets, and each uses a part of it")]

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// The end of the connection is its end.
    pub until_close: bool,
    /// It ends where it should.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]);
        let first = found.next();
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        first
    }
}

/// A line of the log: the method (`-` when it was no request), the status, and how many bytes of a body went out.
#[derive(Debug)]
pub struct Line {
    pub method: String,
    pub status: u16,
    pub bytes: usize,
}

/// The access lines of a log, which may have warnings between them. Each is one line without a control character.
pub fn log(log: &[u8], json: bool) -> Vec<Line> {
    assert!(log.is_empty() || log.ends_with(b"\n"), "half a line");
    let mut lines = Vec::new();
    for line in log.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() <= 4096 && line.iter().all(|byte| (b' '..=b'~').contains(byte)), "{line:?}");
        let text = std::str::from_utf8(line).expect("ASCII");
        if text.starts_with("http: warning: ") {
            continue;
        }
        let (request, rest) = if json {
            assert!(
                text.starts_with("{\"time\":\"") && text.ends_with("\"}") && text.matches('"').count() == 34,
                "{text}"
            );
            let (_, rest) = text.split_once("\"request\":\"").expect("a request");
            let (request, rest) = rest.split_once('"').expect("its end");
            let number = |name: &str| {
                let (_, rest) = rest.split_once(name).expect("a number");
                rest.split(',').next().expect("its end").to_owned()
            };
            (request, format!("{} {}", number("\"status\":"), number("\"bytes\":")))
        } else {
            assert!(text.starts_with("192.0.2.1 - "), "{text}");
            let (_, rest) = text.split_once("] \"").expect("a request");
            let (request, rest) = rest.split_once("\" ").expect("its end");
            (request, rest.to_owned())
        };
        let mut numbers = rest.split(' ').map(|number| number.parse::<usize>());
        let mut number = || numbers.next().expect("a number").expect("digits");
        let (status, bytes) = (number() as u16, number());
        lines.push(Line { method: request.split(' ').next().unwrap_or("-").to_owned(), status, bytes });
    }
    lines
}

/// Takes the answers apart, one for each line. Nothing may be left.
pub fn parse(mut bytes: &[u8], lines: &[Line]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for line in lines {
        let mut answer = take(&mut bytes, &line.method);
        while answer.status == 100 {
            answer = take(&mut bytes, &line.method);
        }
        assert_eq!(answer.status, line.status);
        answers.push(answer);
    }
    assert!(bytes.is_empty(), "behind the last answer: {:?}", String::from_utf8_lossy(bytes));
    answers
}

fn take(bytes: &mut &[u8], method: &str) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; 512];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes);
    let Ok(httparse::Status::Complete(len)) = parsed else {
        panic!("no answer ({parsed:?}): {:?}", String::from_utf8_lossy(bytes));
    };
    let text = &bytes[..len];
    // Nothing but CRLF ends a line, whatever a script wrote or a client asked.
    assert!(text.ends_with(b"\r\n\r\n"));
    assert!(text.iter().enumerate().all(|(at, byte)| match byte {
        b'\n' => text[at - 1] == b'\r',
        b'\r' => text[at + 1] == b'\n',
        b'\t' => true,
        byte => !byte.is_ascii_control(),
    }));
    assert_eq!(head.version, Some(1));
    let mut answer = Answer {
        status: head.code.expect("a code"),
        headers: head.headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec())).collect(),
        body: Vec::new(),
        until_close: false,
        whole: true,
    };
    *bytes = &bytes[len..];
    if answer.status == 100 {
        assert!(answer.headers.is_empty());
        return answer;
    }
    let length = answer
        .header("content-length")
        .map(|value| std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok()).expect("a length"));
    let coding = answer.header("transfer-encoding").map(<[u8]>::to_vec);
    assert!(length.is_none() || coding.is_none(), "both framings");
    assert!(answer.header("date").is_some());
    // What else a script repeats is its own.
    let _ = answer.header("connection");
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        if matches!(answer.status, 204) {
            assert!(length.is_none() && coding.is_none());
        }
        return answer;
    }
    if let Some(coding) = coding {
        assert_eq!(coding, b"chunked");
        answer.whole = chunks(bytes, &mut answer.body);
    } else if let Some(length) = length {
        answer.whole = length <= bytes.len();
        let (body, rest) = bytes.split_at(length.min(bytes.len()));
        (answer.body, *bytes) = (body.to_vec(), rest);
    } else {
        answer.until_close = true;
        answer.body = std::mem::take(bytes).to_vec();
    }
    answer
}

/// Takes a chunked body; whether it has its end.
fn chunks(bytes: &mut &[u8], body: &mut Vec<u8>) -> bool {
    loop {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((at, size))) => {
                let (at, size) = (at, size as usize);
                let Some(chunk) = bytes.get(at..at + size + 2) else {
                    body.extend_from_slice(bytes.get(at..).unwrap_or_default());
                    *bytes = &[];
                    return false;
                };
                assert!(chunk.ends_with(b"\r\n"), "a chunk's end");
                body.extend_from_slice(&chunk[..size]);
                *bytes = &bytes[at + size + 2..];
                if size == 0 {
                    return true;
                }
            }
            Ok(httparse::Status::Partial) => {
                *bytes = &[];
                return false;
            }
            Err(_) => panic!("no chunk: {:?}", String::from_utf8_lossy(bytes)),
        }
    }
}
