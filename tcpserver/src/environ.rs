//! The environment of a program: UCSPI-TCP's variables (<http://cr.yp.to/proto/ucspi.txt>, tcp-environ(5)) in front of
//! those it is given anyway. The memory is reused, so that a connection costs no allocation.

use connection::Endpoint;

use crate::sys::CStrings;

/// Set for each connection, or left unset when there is nothing to tell; never inherited from our own environment.
const VARIABLES: [&str; 16] = [
    "PROTO",
    "TCP6INTERFACE",
    "TCP6LOCALHOST",
    "TCP6LOCALIP",
    "TCP6LOCALPORT",
    "TCP6REMOTEHOST",
    "TCP6REMOTEINFO",
    "TCP6REMOTEIP",
    "TCP6REMOTEPORT",
    "TCPLOCALHOST",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "TCPREMOTEHOST",
    "TCPREMOTEINFO",
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
];

/// The part of an environment that every program gets: `variables`, as `NAME=value`, without those that are set for each
/// connection.
pub(crate) fn base<T: AsRef<[u8]>>(variables: impl IntoIterator<Item = T>) -> CStrings {
    let mut strings = CStrings::default();
    for variable in variables {
        let variable = variable.as_ref();
        let name = variable.split(|&b| b == b'=').next().unwrap_or_default();
        if !VARIABLES.iter().any(|ours| ours.as_bytes() == name) {
            strings.push(&[variable]);
        }
    }
    strings
}

/// Completes an environment of which the first `base` strings stay.
pub(crate) fn complete(environment: &mut CStrings, base: usize, local: &Endpoint, peer: &Endpoint) {
    environment.truncate(base);
    environment.push(&[b"PROTO=", if peer.ip().is_empty() { b"UNIX" } else { b"TCP" }]);
    for (ip, port, endpoint) in [("TCPLOCALIP=", "TCPLOCALPORT=", local), ("TCPREMOTEIP=", "TCPREMOTEPORT=", peer)] {
        if !endpoint.ip().is_empty() {
            environment.push(&[ip.as_bytes(), endpoint.ip()]);
            environment.push(&[port.as_bytes(), decimal(endpoint.port(), &mut [0; 5])]);
        }
    }
}

/// A port in decimal, without an allocation.
pub(crate) fn decimal(mut number: u16, digits: &mut [u8; 5]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for number in [0, 7, 10, 80, 8080, u16::MAX] {
            assert_eq!(decimal(number, &mut [0; 5]), number.to_string().as_bytes());
        }
    }
}
