//! pip from a simple index (PEP 503): directories with an index page each.

use std::fs;

use crate::{Scratch, client, lines, serve, succeed};

/// What a wheel is made of: a zip file that says what it is.
const WHEEL: &str = r#"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED)
info = "tine_example-1.0.dist-info/"
wheel.writestr("tine_example.py", "answer = 42\n" * 1000)
wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tine-example\nVersion: 1.0\n")
wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
wheel.writestr(info + "RECORD", "tine_example.py,,\n" + "".join(info + n + ",,\n" for n in ("METADATA", "WHEEL", "RECORD")))
wheel.close()
"#;

#[test]
fn a_simple_index() {
    let (site, place) = (Scratch::new(), Scratch::new());
    let name = "tine_example-1.0-py3-none-any.whl";
    let wheel = site.dir("files").join(name);
    let Some(mut python) = client("python3") else { return };
    succeed(python.args(["-c", WHEEL]).arg(&wheel));
    crate::common::scratch::set_mode(&wheel, 0o644);
    site.file("simple/tine-example/index.html", format!("<a href=\"../../files/{name}\">{name}</a>"));
    let server = serve(&[], site.path());
    let Some(mut pip) = client("pip3") else { return };
    pip.env("HOME", place.path()).env("PIP_CONFIG_FILE", "/dev/null").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    pip.args(["download", "--no-deps", "--no-cache-dir", "--isolated", "--retries", "0"]);
    // Its directory without the slash: the redirect is followed.
    pip.args(["--index-url", &format!("http://{}/simple", server.address()), "--dest"]).arg(place.join("out"));
    succeed(pip.arg("tine-example"));
    assert!(fs::read(place.join("out").join(name)).expect("what was fetched") == fs::read(&wheel).expect("the wheel"));
    assert_eq!(lines(&server, &["\"GET /simple/tine-example/ HTTP/1.1\" 200"]), 1, "{}", server.log());
}
