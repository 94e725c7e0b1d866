//! The table of names that the machine keeps itself: hosts(5).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;

/// A file of that form. It is read anew for each question, because the one who asks lives but a moment.
pub fn host_of(file: &Path, ip: IpAddr) -> Option<String> {
    lines(file).find_map(|line| {
        let (address, mut names) = fields(&line)?;
        if address.to_canonical() == ip { names.next().map(str::to_owned) } else { None }
    })
}

/// All addresses of `name`, which may be any of the names in a line, in whatever case.
pub fn addresses_of(file: &Path, name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let found = lines(file).filter_map(|line| {
        let (address, mut names) = fields(&line)?;
        names.any(|known| known.eq_ignore_ascii_case(name)).then_some(address)
    });
    found.collect()
}

/// Without such a file, and from a line on that cannot be read, there are none.
fn lines(file: &Path) -> impl Iterator<Item = String> {
    let lines = File::open(file).ok().map(|file| BufReader::new(file).split(b'\n'));
    lines.into_iter().flatten().map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned())
}

/// The address and the names of a line that has them. What would not do as a host name is none.
fn fields(line: &str) -> Option<(IpAddr, impl Iterator<Item = &str>)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let address = words.next()?;
    let address = address.split('%').next()?.parse().ok()?;
    Some((address, words.filter(|name| name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic()))))
}
