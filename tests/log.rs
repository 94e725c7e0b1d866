//! Promise: the log is one whole line for each event, in a form that people's tools read, and what came from the wire
//! cannot forge it.

mod common;

use std::{fs, thread};

use common::{Mode, Scratch, launch, wait_until};

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site.file("large.bin", vec![b'x'; 1 << 20]);
    site
}

/// `127.0.0.1 - - [21/Nov/2026:20:31:08 +0000] "GET /x HTTP/1.1" 200 512 0.000123` taken apart: request, status, bytes.
#[track_caller]
fn parse(line: &str) -> (String, u16, u64) {
    let shape: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let (address, rest) = line.split_once(" - - [").unwrap_or_else(|| panic!("no access line: {line:?}"));
    assert!(address.parse::<std::net::IpAddr>().is_ok(), "{line:?}");
    let (time, rest) = rest.split_once("] \"").unwrap_or_else(|| panic!("no time: {line:?}"));
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!((&digits[..3], &digits[6..]), ("00/", "/0000:00:00:00 +0000"), "{line:?}");
    let (request, rest) = rest.rsplit_once("\" ").unwrap_or_else(|| panic!("no request: {line:?}"));
    let fields: Vec<&str> = rest.split(' ').collect();
    assert_eq!(fields.len(), 3, "status, bytes, seconds: {line:?}");
    let (whole, fraction) = fields[2].split_once('.').expect("seconds with a fraction");
    assert!(whole.parse::<u64>().is_ok() && fraction.len() == 6 && fraction.parse::<u64>().is_ok(), "{line:?}");
    assert!(!shape.is_empty());
    (request.to_string(), fields[0].parse().expect("a status"), fields[1].parse().expect("a number of bytes"))
}

#[test]
fn an_access_line_tells_what_was_sent() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        let mut client = server.connect();
        client.get("/").expect(200);
        client.request("HEAD", "/", "").expect(200);
        client.get("/missing?a=b").expect(404);
        client.request("GET", "/large.bin", "Range: bytes=0-99\r\n").expect(206);
        client.get("/large.bin").expect(200);
        drop(client);
        let expected = [
            ("GET / HTTP/1.1", 200, Some(6)),
            ("HEAD / HTTP/1.1", 200, Some(0)),
            ("GET /missing?a=b HTTP/1.1", 404, None),
            ("GET /large.bin HTTP/1.1", 206, Some(100)),
            ("GET /large.bin HTTP/1.1", 200, Some(1 << 20)),
        ];
        let lines = || -> Vec<String> {
            server.log().lines().filter(|line| line.contains(" - - [")).map(String::from).collect()
        };
        wait_until("all is logged", || lines().len() >= expected.len());
        for (line, (request, status, bytes)) in lines().iter().zip(expected) {
            let (r, s, b) = parse(line);
            assert_eq!((r.as_str(), s), (request, status), "{mode:?}");
            assert!(bytes.is_none_or(|bytes| b == bytes), "{mode:?}: body bytes of {line:?}");
        }
        assert_eq!(lines().len(), expected.len());
    }
}

/// Quotes, escapes and control bytes in a request stay inside their field.
#[test]
fn the_wire_cannot_forge_a_line() {
    for mode in [Mode::Prefork, Mode::Vfork] {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        let forged = "/\" 200 1 0.000000 \"x\\\" \u{1b}[31m \u{7f}\u{85}\u{2028}é";
        let requests = [
            format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", forged.replace(' ', "%20")).into_bytes(),
            b"GET /\xff\xfe\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            b"GET /a\"b HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            b"\x1b]0;title\x07\r\n\r\n".to_vec(),
            format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(3000)).into_bytes(),
        ];
        for request in &requests {
            let mut client = server.connect();
            client.send(request);
            client.response("GET");
        }
        server.connect().get("/").expect(200);
        server.await_log(&["\"GET / HTTP/1.1\" 200 6"]);
        let log = fs::read(server.log_path()).expect("read the log");
        assert!(log.iter().all(|&b| b == b'\n' || (0x20..0x7f).contains(&b)), "{mode:?}: {:?}", server.log());
        for line in server.log().lines().filter(|line| line.contains(" - - [")) {
            let (request, status, _) = parse(line);
            let bare = request.replace("\\\\", "").replace("\\\"", "");
            assert!(!bare.contains('"'), "{mode:?}: a quote stands bare in {line:?}");
            assert!((200..500).contains(&status), "{line:?}");
            assert!(line.len() < 4096, "longer than a pipe writes whole: {} bytes", line.len());
        }
    }
}

/// Many processes write to one file, and their lines never mix.
#[test]
fn lines_of_many_processes_stay_whole() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 8, &["--verbose"], site.path());
        thread::scope(|scope| {
            for client in 0..8 {
                let server = &server;
                scope.spawn(move || {
                    for number in 0..100 {
                        let path = format!("/{}-{client}-{number}", "y".repeat(number * 5));
                        server.connect().request("GET", &path, "Connection: close\r\n").expect(404);
                    }
                });
            }
        });
        server.stop();
        let log = server.log();
        let (access, own): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| !line.starts_with("tine: "));
        assert_eq!(access.len(), 800, "{mode:?}");
        access.iter().for_each(|line| assert_eq!(parse(line).1, 404));
        let mix = own.iter().find(|line| line.matches("tine: ").count() > 1 || line.contains("GET"));
        assert_eq!(mix, None, "{mode:?}");
    }
}

#[test]
fn quiet_leaves_the_access_lines_out() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 4, &["--quiet"], site.path());
        server.connect().request("GET", "/", "Connection: close\r\n").expect(200);
        let at_rest = if mode.is_prefork() { 4 } else { 0 };
        wait_until("the child has gone", || server.children().len() == at_rest);
        server.stop();
        let log = server.log();
        // A child may not have noticed yet that its client has left when it is told to stop, and is named then.
        let others = ["nobody", "root", ": stopping: ", ": still here: "];
        let lines: Vec<&str> = log.lines().filter(|line| !others.iter().any(|other| line.contains(other))).collect();
        assert_eq!(lines, [""; 0], "{mode:?}");
    }
}

/// --log FILE appends to the file, and the lines of an earlier run stay.
#[test]
fn a_file_is_appended_to() {
    for mode in Mode::ALL {
        let site = site();
        let file = site.file("logs/access.log", "earlier\n");
        common::scratch::set_mode(&file, 0o666);
        let path = file.display().to_string();
        let mut server = launch::serve(mode, 4, &["--log", &path], site.path());
        server.connect().get("/").expect(200);
        server.stop();
        let text = fs::read_to_string(&file).expect("read the log");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "earlier");
        assert!(lines[1..].iter().any(|line| line.contains("\"GET / HTTP/1.1\" 200 6 ")), "{mode:?}: {text}");
    }
}

/// What a browser of no good will sends, in each place that a line shows: target, host, referer, agent, user.
fn hostile_requests() -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 12] = [
        b"plain",
        b"\"",
        b"\\",
        b"\\\"",
        b"\\u0000",
        b"</script>",
        b"\xff\xfe",
        "é\u{2028}".as_bytes(),
        b"\xed\xa0\x80",
        b"a\tb",
        b"{\"status\":200}",
        &[b'"'; 3000],
    ];
    let mut requests = Vec::new();
    for piece in pieces {
        let target: Vec<u8> = piece.iter().copied().filter(|&byte| byte != b'\t').collect();
        for fields in ["Referer: ", "User-Agent: ", "X: "] {
            let parts: [&[u8]; 6] = [
                b"GET /",
                &target,
                b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
                fields.as_bytes(),
                piece,
                b"\r\n\r\n",
            ];
            requests.push(parts.concat());
        }
        requests.push([b"NONSENSE ", piece, b"\r\n\r\n"].concat());
    }
    requests
}

/// The log of a server that was asked all that, line by line.
fn hostile_log(mode: Mode, format: &str) -> (usize, Vec<String>) {
    let site = site();
    let mut server = launch::serve(mode, 4, &["--log-format", format], site.path());
    let requests = hostile_requests();
    for request in &requests {
        let mut client = server.connect();
        client.send(request);
        client.drain();
    }
    server.stop();
    let log = server.log();
    let lines = log.lines().filter(|line| !line.starts_with("tine: ")).map(String::from).collect();
    (requests.len(), lines)
}

#[test]
fn each_line_of_json_is_json() {
    let script = "import json, sys\nfor line in sys.stdin.buffer:\n    e = json.loads(line)\n    \
                  print(sorted(e) == sorted('time client user host request status bytes seconds referer agent'.split()), \
                  type(e['status']).__name__, type(e['bytes']).__name__, type(e['seconds']).__name__, e['client'])";
    let Some(python) = common::peer("python3") else { return };
    for mode in [Mode::Prefork, Mode::Vfork] {
        let (count, lines) = hostile_log(mode, "json");
        assert_eq!(lines.len(), count, "{mode:?}");
        let scratch = Scratch::new();
        let input = fs::File::open(scratch.file("lines", lines.join("\n") + "\n")).expect("open the lines");
        let output =
            std::process::Command::new(&python).args(["-c", script]).stdin(input).output().expect("run python");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), lines.join("\n"));
        assert_eq!(told.lines().count(), count);
        assert!(told.lines().all(|line| line == "True int int float 127.0.0.1"), "{told}");
    }
}

/// The combined form as Apache documents it, taken apart at its quotes; fnord's at its spaces.
#[test]
fn the_other_forms_keep_their_fields() {
    for mode in [Mode::Prefork, Mode::Vfork] {
        let (count, lines) = hostile_log(mode, "combined");
        assert_eq!(lines.len(), count, "{mode:?}");
        for line in &lines {
            let parts: Vec<&str> = line.split('"').collect();
            assert_eq!(parts.len(), 7, "{line}");
            assert!(parts[0].starts_with("127.0.0.1 - - [") && parts[0].ends_with("] "), "{line}");
            let numbers: Vec<&str> = parts[2].split_whitespace().collect();
            assert!(numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u64>().is_ok()), "{line}");
            assert_eq!((parts[4], parts[6]), (" ", ""), "{line}");
            assert!(line.len() < 2560 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        }
        assert!(lines.iter().any(|line| line.ends_with("\"-\" \"\\x22\"")), "an agent that is a quote");
        let (count, lines) = hostile_log(mode, "fnord");
        assert_eq!(lines.len(), count, "{mode:?}");
        for line in &lines {
            let fields: Vec<&str> = line.split(' ').collect();
            assert_eq!(fields.len(), 7, "ip code size host agent referer url: {line}");
            assert!(fields[1].parse::<u16>().is_ok() && fields[2].parse::<u64>().is_ok(), "{line}");
        }
        assert!(lines.iter().any(|line| line.ends_with(" h - - /plain")), "{}", lines.join("\n"));
    }
}

// ---- The manual, tine-log(5), and the code say the same lines. A form is a line with `*` for each value. ----

/// Values side by side are one: of some nobody knows whether they are there.
fn form(text: &str) -> String {
    let mut form = text.replace("* *", "*");
    while form.contains("**") || form.contains("* *") {
        form = form.replace("**", "*").replace("* *", "*");
    }
    form
}

/// Whether the line `text` is of this form.
fn is_of(form: &str, text: &str) -> bool {
    let mut parts = form.split('*');
    let (first, last) = (parts.next().unwrap_or_default(), form.rsplit('*').next().unwrap_or_default());
    let mut rest = text.strip_prefix(first);
    for part in parts {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some() && text.ends_with(last) && (form.contains('*') || form == text)
}

/// The forms of an item in the manual: `.It Li end Ar pid Li status Ar w`.
fn manual_form(item: &str) -> String {
    let (mut text, mut literal, mut joined) = (String::new(), true, true);
    for word in item.split(' ') {
        match word {
            "Li" | "Ar" | "Cm" | "Fl" => literal = word != "Ar",
            "Ns" => joined = true,
            _ => {
                if !std::mem::take(&mut joined) {
                    text.push(' ');
                }
                text += &if literal { word.replace("\\&", "").replace("...", "*") } else { "*".into() };
            }
        }
    }
    form(text.trim_start_matches("warning: "))
}

/// All sources of these folders, each literal on one line.
fn sources(folders: &[&str]) -> String {
    let mut folders: Vec<std::path::PathBuf> =
        folders.iter().map(|folder| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).collect();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("list the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !["bench", "tools"].iter().any(|other| path.ends_with(other)) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).expect("read a source");
            }
        }
    }
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// What the code hands to the log: `log.warning(format_args!("child {pid} ..."))`.
fn written(source: &str) -> Vec<String> {
    let calls = source.split("format_args!(").zip(source.split("format_args!(").skip(1));
    let logs = calls.filter(|(before, _)| ["warning(", "note(", "complain("].iter().any(|call| before.ends_with(call)));
    let literal = logs.filter_map(|(_, rest)| rest.trim_start().strip_prefix('"')?.split('"').next());
    let values = literal.map(|text| {
        let mut parts = text.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + "*" + part.split_once('}').map_or("", |(_, rest)| rest))
    });
    // What is a value and nothing else is worded elsewhere, and found by the other direction.
    values.map(|text| form(&text)).filter(|form| form != "*").collect()
}

#[test]
fn the_manual_explains_each_line_and_no_other() {
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/tine-log.5")).expect("read the manual");
    let explained: Vec<String> =
        manual.split("\n.It Li ").skip(1).filter_map(|item| item.lines().next()).map(manual_form).collect();
    let source = sources(&["src", "tcpserver/src", "handlers/src"]);
    let written = written(&source);
    assert!(written.len() > 40 && explained.len() > 50, "{} and {}", written.len(), explained.len());
    // A line may say how many more there were, which the manual says once for all of them.
    let same = |line: &String, known: &String| {
        let line = line.strip_suffix(" (* more)").filter(|_| !known.ends_with("more)")).unwrap_or(line);
        is_of(known, line) || is_of(line, known)
    };
    let untold: Vec<&String> = written.iter().filter(|line| !explained.iter().any(|known| same(line, known))).collect();
    assert_eq!(untold, [""; 0], "lines that the manual does not explain");
    let parts = |known: &String| {
        let parts = known.split('*').map(|part| part.trim_matches([' ', ':', '(', ')']).to_owned());
        parts.filter(|part| part.len() > 3).collect::<Vec<_>>()
    };
    // Some are put together: the handler's name, or `unable to`, and then a verb and an object.
    let is_written = |part: &String| {
        let pieces = part.trim_start_matches("http: warning: ").split("unable to").map(str::trim);
        let two = |piece: &str| piece.split_once(' ').is_some_and(|(a, b)| source.contains(a) && source.contains(b));
        pieces.into_iter().all(|piece| source.contains(piece) || two(piece))
    };
    let unwritten: Vec<String> = explained.iter().flat_map(parts).filter(|part| !is_written(part)).collect();
    assert_eq!(unwritten, [""; 0], "words of the manual that no code writes");
    // The comparison is able to fail.
    assert!(!explained.iter().any(|known| same(&"child * sneezed".into(), known)));
}
