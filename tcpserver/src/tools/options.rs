//! Options as the programs of ucspi-tcp take them: letters, several behind one hyphen, a value attached or separate, up
//! to the first word that is no option or `--`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::vec::IntoIter;

use super::failure::Failure;

/// The options in the order in which they were given, each with its value (empty where it takes none), and the words
/// behind them.
pub type Parsed = (Vec<(u8, OsString)>, IntoIter<OsString>);

/// Takes `arguments` apart. `letters` are the options there are, those with a value followed by a colon.
///
/// # Errors
///
/// 100 for an option that is not there or lacks its value, with a line that says which, and the usage.
pub fn parse(
    program: &str,
    usage: &str,
    letters: &str,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Parsed, Failure> {
    let mut arguments = arguments.collect::<Vec<_>>().into_iter();
    let mut options = Vec::new();
    while let Some(word) = arguments.as_slice().first() {
        let Some(cluster) = word.as_bytes().strip_prefix(b"-").filter(|cluster| !cluster.is_empty()) else { break };
        let cluster = cluster.to_vec();
        arguments.next();
        if cluster == b"-" {
            break;
        }
        let mut rest = cluster.as_slice();
        while let [letter, behind @ ..] = rest {
            rest = behind;
            let mut value = OsString::new();
            let wrong = match takes_value(letters, *letter) {
                Some(false) => None,
                Some(true) if rest.is_empty() => match arguments.next() {
                    Some(next) => {
                        value = next;
                        None
                    }
                    None => Some("option requires an argument"),
                },
                Some(true) => {
                    value = OsString::from_vec(std::mem::take(&mut rest).to_vec());
                    None
                }
                None => Some("illegal option"),
            };
            if let Some(wrong) = wrong {
                let mut failure = Failure::usage(program, usage);
                let line = [program.as_bytes(), b": ", wrong.as_bytes(), b" -- ", &[*letter], b"\n"].concat();
                failure.lines.splice(0..0, line);
                return Err(failure);
            }
            options.push((*letter, value));
        }
    }
    Ok((options, arguments))
}

/// Whether an option takes a value; `None` if there is no such option.
fn takes_value(letters: &str, letter: u8) -> Option<bool> {
    let letters = letters.as_bytes();
    let at = letters.iter().position(|&known| known == letter && letter != b':')?;
    Some(letters.get(at + 1) == Some(&b':'))
}

/// A number in decimal digits and nothing else, that fits.
pub fn number<N: std::str::FromStr>(value: &OsStr) -> Option<N> {
    let text = value.to_str()?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<(String, Vec<OsString>), String> {
        match parse("p", "[ -abv ]", "abv:", words.iter().map(OsString::from)) {
            Ok((options, rest)) => {
                let text = |(letter, value): (u8, OsString)| format!("{}{};", char::from(letter), value.display());
                Ok((options.into_iter().map(text).collect(), rest.collect()))
            }
            Err(failure) => Err(String::from_utf8(failure.lines).expect("text")),
        }
    }

    #[test]
    fn letters_cluster_and_values_attach() {
        let options = |words: &[&str]| parsed(words).expect("options").0;
        assert_eq!(options(&["-a", "-bv", "x", "-v-y", "-abvz"]), "a;b;vx;v-y;a;b;vz;");
        assert_eq!(options(&[]), "");
    }

    #[test]
    fn what_is_no_option_ends_them() {
        let rest = |words: &[&str]| parsed(words).expect("options").1;
        assert_eq!(rest(&["-a", "x", "-b"]), ["x", "-b"]);
        assert_eq!(rest(&["-a", "--", "-b"]), ["-b"]);
        assert_eq!(rest(&["-", "-b"]), ["-", "-b"]);
        assert_eq!(rest(&["-v", "--", "-a"]), [""; 0]);
    }

    #[test]
    fn wrong_ones_are_told() {
        let usage = "p: usage: p [ -abv ]\n";
        assert_eq!(parsed(&["-ax"]), Err(format!("p: illegal option -- x\n{usage}")));
        assert_eq!(parsed(&["-:"]), Err(format!("p: illegal option -- :\n{usage}")));
        assert_eq!(parsed(&["-av"]), Err(format!("p: option requires an argument -- v\n{usage}")));
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number::<u16>(OsStr::new("65535")), Some(65535));
        for wrong in ["", "65536", "+1", "-1", "1x", " 1", "0x1"] {
            assert_eq!(number::<u16>(OsStr::new(wrong)), None, "{wrong}");
        }
    }
}
