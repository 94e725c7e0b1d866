//! The table of ports that have names: services(5).

use std::fs;

/// The TCP port of a service, by its name or another that it goes by. As for getservbyname(3), case counts.
#[must_use]
pub fn port_of(service: &str) -> Option<u16> {
    find(&String::from_utf8_lossy(&fs::read("/etc/services").unwrap_or_default()), service)
}

fn find(table: &str, service: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let name = words.next()?;
        let (port, protocol) = words.next()?.split_once('/')?;
        let named = name == service || words.any(|alias| alias == service);
        if protocol == "tcp" && named { port.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_service_has_a_port_by_each_of_its_names() {
        let table = "# smtp 1/tcp\nsmtp\t\t25/tcp\tmail # telnet\ntelnet 23/udp\ntelnet 24/tcp\nodd\nbad x/tcp\nbig 70000/tcp\n";
        assert_eq!(find(table, "smtp"), Some(25));
        assert_eq!(find(table, "mail"), Some(25));
        assert_eq!(find(table, "telnet"), Some(24));
        for missing in ["SMTP", "#", "odd", "bad", "big", ""] {
            assert_eq!(find(table, missing), None, "{missing}");
        }
    }
}
