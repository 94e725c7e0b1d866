//! Users and their passwords, in a file as htpasswd writes it: `name:hash` in each line.
//!
//! This is apart from the handlers, which have neither an allocator nor room for these algorithms: they start the program
//! `tine-auth` for credentials that they have not seen yet. The supervisor uses the library to look at the file before it
//! serves, so that a mistake in it is told once and at the start.

use std::fmt;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The users of a file.
#[derive(Debug)]
pub struct Users(Vec<(String, Hash)>);

/// The hash of a password, checked for its form.
#[derive(Clone, Debug)]
enum Hash {
    /// `$2y$` and its kin.
    Bcrypt(String),
    /// `$6$`, or `$5$` with `short`: what crypt(5) calls sha512crypt and sha256crypt.
    Sha { short: bool, rounds: usize, salt: String, hash: String },
    /// `$argon2id$`, `$argon2i$`, `$argon2d$`.
    Argon2(String),
}

/// What is wrong with a file of users, and where; it shows itself as a clause.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1 on; 0 for the whole file.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl std::error::Error for Wrong {}

/// The most that a hash may cost: a file that asks for more would hold up every request.
const ROUNDS: usize = 10_000_000;
const BCRYPT_COST: u32 = 16;

impl Users {
    /// Reads the text of a file. Empty lines and those that begin with `#` mean nothing.
    ///
    /// # Errors
    /// The first line that is no user, or whose hash is not one that is good today.
    pub fn parse(text: &str) -> Result<Users, Wrong> {
        let mut users = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let wrong = |reason| Wrong { line, reason };
            let text = text.trim_end();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, hash) = text.split_once(':').ok_or(wrong("is not NAME:HASH"))?;
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(wrong("has no name that a client could send"));
            }
            // What htpasswd does not write, but people keep behind a second colon.
            let hash = hash.split(':').next().unwrap_or_default();
            users.push((name.to_owned(), Hash::parse(hash).map_err(wrong)?));
        }
        if users.is_empty() { Err(Wrong { line: 0, reason: "there is no user in it" }) } else { Ok(Users(users)) }
    }

    /// Whether the value of a field `Authorization` is that of a user (RFC 7617).
    #[must_use]
    pub fn admit(&self, authorization: &[u8]) -> bool {
        credentials(authorization).is_some_and(|(name, password)| self.check(&name, &password))
    }

    /// Whether a user has this password. It takes as long for a user who does not exist as for the first who does.
    #[must_use]
    pub fn check(&self, name: &str, password: &[u8]) -> bool {
        let found = self.0.iter().find(|(known, _)| known == name);
        let Some((_, hash)) = found.or(self.0.first()) else { return false };
        hash.is_of(password) && found.is_some()
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Hash, &'static str> {
        const OLD: &str =
            "its hash is none of bcrypt ($2y$: htpasswd -B), SHA-crypt ($5$, $6$: mkpasswd) and argon2 ($argon2id$)";
        const BROKEN: &str = "its hash is incomplete or costs too much";
        let mut parts = text.split('$').skip(1);
        match parts.next().unwrap_or_default() {
            "2y" | "2a" | "2b" | "2x" => {
                let parts: bcrypt::HashParts = text.parse().map_err(|_| BROKEN)?;
                if text.len() == 60 && parts.get_cost() <= BCRYPT_COST {
                    Ok(Hash::Bcrypt(text.into()))
                } else {
                    Err(BROKEN)
                }
            }
            id @ ("5" | "6") => {
                let short = id == "5";
                let mut next = parts.next().ok_or(BROKEN)?;
                let mut rounds = sha_crypt::ROUNDS_DEFAULT;
                if let Some(number) = next.strip_prefix("rounds=") {
                    rounds = number.parse().map_err(|_| BROKEN)?;
                    next = parts.next().ok_or(BROKEN)?;
                }
                let hash = parts.next().ok_or(BROKEN)?;
                let whole = hash.len() == if short { 43 } else { 86 } && parts.next().is_none() && next.len() <= 16;
                let rounds = rounds.max(sha_crypt::ROUNDS_MIN);
                if !whole || rounds > ROUNDS {
                    return Err(BROKEN);
                }
                Ok(Hash::Sha { short, rounds, salt: next.into(), hash: hash.into() })
            }
            "argon2id" | "argon2i" | "argon2d" => {
                let parsed = PasswordHash::new(text).map_err(|_| BROKEN)?;
                let params = argon2::Params::try_from(&parsed).map_err(|_| BROKEN)?;
                let dear = params.m_cost() > 1 << 20 || params.t_cost() > 100;
                if parsed.hash.is_none() || dear { Err(BROKEN) } else { Ok(Hash::Argon2(text.into())) }
            }
            _ => Err(OLD),
        }
    }

    /// Compared in constant time, here or in the crate.
    fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Hash::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Hash::Argon2(hash) => {
                PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
            Hash::Sha { short, rounds, salt, hash } => {
                let made = if *short {
                    sha_crypt::Sha256Params::new(*rounds)
                        .and_then(|params| sha_crypt::sha256_crypt_b64(password, salt.as_bytes(), &params))
                } else {
                    sha_crypt::Sha512Params::new(*rounds)
                        .and_then(|params| sha_crypt::sha512_crypt_b64(password, salt.as_bytes(), &params))
                };
                made.is_ok_and(|made| same(made.as_bytes(), hash.as_bytes()))
            }
        }
    }
}

/// Equal, without a hint where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
}

/// Name and password of a field `Authorization` with the scheme Basic.
fn credentials(authorization: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let name = String::from_utf8(bytes.get(..colon)?.to_vec()).ok()?;
    Some((name, bytes.get(colon + 1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `htpasswd -B` and crypt(3); the password of each is `secret`.
    const FILE: &str = include_str!("../tests/users");

    fn basic(text: &str) -> Vec<u8> {
        [b"Basic ", BASE64_STANDARD.encode(text).as_bytes()].concat()
    }

    #[test]
    fn each_hash_admits_its_password_alone() {
        let users = Users::parse(FILE).unwrap();
        assert_eq!(users.0.len(), 4);
        for (name, _) in &users.0 {
            assert!(users.admit(&basic(&format!("{name}:secret"))), "{name}");
            for wrong in ["", "Secret", "secret ", "secre", "secret\0"] {
                assert!(!users.admit(&basic(&format!("{name}:{wrong}"))), "{name} {wrong}");
            }
        }
        assert!(!users.admit(&basic("nobody:secret")) && !users.admit(&basic(":secret")));
        for value in ["", "Basic", "Basic ", "Basic !!!", "Bearer c2VjcmV0", "Basic c2VjcmV0"] {
            assert!(!users.admit(value.as_bytes()), "{value}");
        }
    }

    /// The example of the reference implementation (github.com/P-H-C/phc-winner-argon2, README.md).
    #[test]
    fn argon2_as_its_authors_have_it() {
        let line = "me:$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
        let users = Users::parse(line).unwrap();
        assert!(users.check("me", b"password") && !users.check("me", b"Password"));
    }

    #[test]
    fn a_wrong_file_is_told_by_its_line() {
        for (text, line) in [
            ("", 0),
            ("# nobody\n\n", 0),
            ("a", 1),
            (":x", 1),
            ("a:plain", 1),
            ("a:$apr1$x$y", 1),
            ("a:{SHA}x", 1),
            ("#\n\na:$2y$05$short", 3),
            ("a:$6$salt", 1),
            ("a:$6$rounds=999999999$salt$x", 1),
            ("a:$6$salt$toshort", 1),
            ("a:$argon2id$", 1),
            ("a:$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", 1),
        ] {
            assert_eq!(Users::parse(text).map(|_| ()).map_err(|wrong| wrong.line), Err(line), "{text}");
        }
    }
}
