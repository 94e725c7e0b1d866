//! apt-get from a flat repository: an index, a package, and an update that brings nothing new.

use std::{fs, path::PathBuf};

use crate::{Scratch, client, lines, noise, serve, succeed};

/// A package, built by dpkg-deb.
#[track_caller]
fn package(place: &Scratch) -> Option<PathBuf> {
    place.file(
        "build/DEBIAN/control",
        "Package: tine-example\nVersion: 1.0\nArchitecture: all\nMaintainer: Somebody <somebody@example.org>\n\
         Description: an example\n",
    );
    place.file("build/usr/share/tine-example/noise", noise(60_000));
    let package = place.join("tine-example_1.0_all.deb");
    succeed(client("dpkg-deb")?.arg("--build").arg("--root-owner-group").arg(place.join("build")).arg(&package));
    Some(package)
}

#[test]
fn a_flat_repository() {
    let (site, place) = (Scratch::new(), Scratch::new());
    let (Some(package), Some(mut sha256sum)) = (package(&place), client("sha256sum")) else { return };
    let bytes = fs::read(&package).expect("the package");
    site.file("pool/tine-example_1.0_all.deb", &bytes);
    let sum = succeed(sha256sum.arg(&package));
    let sum = sum.split(' ').next().unwrap_or_default();
    let control = fs::read_to_string(place.join("build/DEBIAN/control")).expect("the control file");
    let size = bytes.len();
    site.file(
        "Packages",
        format!("{control}Filename: ./pool/tine-example_1.0_all.deb\nSize: {size}\nSHA256: {sum}\n\n"),
    );
    let server = serve(&[], site.path());
    // A state of its own: nothing of this machine's is read or written.
    for directory in ["etc/apt.conf.d", "etc/preferences.d", "state/lists/partial", "cache/archives/partial", "out"] {
        place.dir(directory);
    }
    place.file("state/status", "");
    let list = place.file("etc/sources.list", format!("deb [trusted=yes] http://{}/ ./\n", server.address()));
    let root = place.path().display().to_string();
    let apt = |arguments: &[&str]| {
        let mut apt = client("apt-get")?;
        apt.env("APT_CONFIG", "/dev/null").current_dir(place.join("out"));
        for (name, value) in [
            ("Dir::Etc", format!("{root}/etc")),
            ("Dir::Etc::sourcelist", list.display().to_string()),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State", format!("{root}/state")),
            ("Dir::State::status", format!("{root}/state/status")),
            ("Dir::Cache", format!("{root}/cache")),
            ("Acquire::Languages", "none".into()),
            ("Acquire::http::Proxy", "DIRECT".into()),
            ("APT::Sandbox::User", String::new()),
        ] {
            apt.arg("-o").arg(format!("{name}={value}"));
        }
        Some(succeed(apt.args(arguments)))
    };
    if apt(&["update"]).is_none() {
        return;
    }
    assert_eq!(lines(&server, &["\"GET /./Packages HTTP/1.1\" 200"]), 1, "{}", server.log());
    apt(&["download", "tine-example"]);
    assert!(fs::read(place.join("out/tine-example_1.0_all.deb")).expect("what was fetched") == bytes);
    apt(&["update"]);
    assert_eq!(lines(&server, &["\"GET /./Packages HTTP/1.1\" 200"]), 1, "it is not sent again: {}", server.log());
    assert!(lines(&server, &["\"GET /./Packages HTTP/1.1\" 304"]) >= 1, "{}", server.log());
}
