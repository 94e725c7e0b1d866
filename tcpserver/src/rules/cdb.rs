//! The file format of rules: D. J. Bernstein's constant database, <https://cr.yp.to/cdb/cdb.txt>.
//!
//! Why not a crate: `cdb` 0.6 is of 2018, and its maintained successor `cdb2` 0.8 maps the file into memory as `cdb`
//! does, so that a file cut short by somebody else ends the process that reads it (SIGBUS), sets aside as much memory
//! as a damaged record asks for, and adds positions unchecked. In a supervisor a damaged file must be an error.
//!
//! Here every position is checked against the size of the file, and nothing is set aside for what is not there. The
//! first [`START`] bytes are read at once: with most files that is everything, at the price of one system call.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// 256 pairs of the position and the number of slots of a hash table; records follow, then the tables.
const HEADER: u64 = 2048;

/// How much of the file is read when it is opened.
const START: u64 = 16 * 1024;

/// Says that the file is no whole cdb, as 0.88 does.
fn damaged() -> io::Error {
    Errno::EPROTO.into()
}

/// An open database. It stays what it was when another file is renamed over its name.
#[derive(Debug)]
pub struct Cdb {
    file: File,
    size: u64,
    start: Vec<u8>,
}

impl Cdb {
    /// Opens a database. One whose tables do not lie within the file is damaged: so every truncation is found, since
    /// the last table ends with the file.
    pub fn open(path: &Path) -> io::Result<Cdb> {
        // Without O_NONBLOCK the opening of a FIFO would wait for a writer.
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let metadata = file.metadata()?;
        match metadata.len() {
            _ if metadata.is_dir() => return Err(Errno::EISDIR.into()),
            0 => return Err(Errno::EINVAL.into()),
            1..HEADER => return Err(damaged()),
            _ => {}
        }
        let size = metadata.len();
        let mut cdb = Cdb { file, size, start: Vec::new() };
        cdb.start = cdb.read(0, size.min(START))?;
        for table in 0..HEADER / 8 {
            let (at, slots) = cdb.pair(8 * table)?;
            if at + 8 * slots > size {
                return Err(damaged());
            }
        }
        Ok(cdb)
    }

    /// The data of the first record with this key.
    pub fn find(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let wanted = u64::from(hash(key));
        let (table, slots) = self.pair(8 * (wanted % 256))?;
        // No table is longer than the file, so this ends.
        for step in 0..slots {
            let slot = (wanted / 256 + step) % slots;
            let (hash, at) = self.pair(table + 8 * slot)?;
            if at == 0 {
                break;
            }
            if hash != wanted {
                continue;
            }
            let (key_length, data_length) = self.pair(at)?;
            if key_length == key.len() as u64 && *self.bytes(at + 8, key_length)? == *key {
                return Ok(Some(self.bytes(at + 8 + key_length, data_length)?.into_owned()));
            }
        }
        Ok(None)
    }

    /// Two little-endian numbers. Of 32 bits in the file: sums of a few of them do not overflow.
    fn pair(&self, at: u64) -> io::Result<(u64, u64)> {
        match *self.bytes(at, 8)? {
            [a, b, c, d, e, f, g, h] => {
                Ok((u32::from_le_bytes([a, b, c, d]).into(), u32::from_le_bytes([e, f, g, h]).into()))
            }
            _ => Err(damaged()),
        }
    }

    fn bytes(&self, at: u64, length: u64) -> io::Result<Cow<'_, [u8]>> {
        let end = at.checked_add(length).filter(|&end| end <= self.size).ok_or_else(damaged)?;
        match (usize::try_from(at), usize::try_from(end)) {
            (Ok(at), Ok(end)) if end <= self.start.len() => Ok(Cow::Borrowed(&self.start[at..end])),
            _ => self.read(at, length).map(Cow::Owned),
        }
    }

    fn read(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| damaged())?];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            // Cut short since it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
            Err(error) => Err(error),
        }
    }
}

/// The database of these records, byte for byte what cdbmake makes of them. It has at most four gigabytes.
pub fn image<'a>(records: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> io::Result<Vec<u8>> {
    let mut image = vec![0; HEADER as usize];
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    for (key, data) in records {
        let hash = hash(key);
        tables[(hash % 256) as usize].push((hash, number(image.len())?));
        image.extend(number(key.len())?.to_le_bytes());
        image.extend(number(data.len())?.to_le_bytes());
        image.extend(key);
        image.extend(data);
    }
    for (index, entries) in tables.iter().enumerate() {
        // Twice as many slots as records, and a record goes to the first free slot from the one its hash names.
        let mut slots = vec![(0, 0); 2 * entries.len()];
        for &(hash, at) in entries {
            let mut slot = (hash / 256) as usize % slots.len();
            while slots[slot].1 != 0 {
                slot = (slot + 1) % slots.len();
            }
            slots[slot] = (hash, at);
        }
        let at = number(image.len())?;
        image[8 * index..8 * index + 4].copy_from_slice(&at.to_le_bytes());
        image[8 * index + 4..8 * index + 8].copy_from_slice(&number(slots.len())?.to_le_bytes());
        for (hash, at) in slots {
            image.extend(hash.to_le_bytes());
            image.extend(at.to_le_bytes());
        }
    }
    number(image.len())?;
    Ok(image)
}

/// A position or a length, if the format can say it.
fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| Errno::ENOMEM.into())
}

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33) ^ u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tcpserver-cdb-{}-{name}", std::process::id()));
        fs::write(&path, bytes).expect("write a file");
        path
    }

    fn some(records: &[(&[u8], &[u8])]) -> Vec<u8> {
        image(records.iter().copied()).expect("a small image")
    }

    #[test]
    fn what_went_in_is_found_and_the_first_of_two() {
        let long = vec![b'x'; 3 * START as usize];
        let path = file("found", &some(&[(b"", b"empty"), (b"a", &long), (b"a", b"second"), (&long, b"")]));
        let cdb = Cdb::open(&path).expect("open it");
        assert_eq!(cdb.find(b"").expect("read it").as_deref(), Some(&b"empty"[..]));
        assert_eq!(cdb.find(b"a").expect("read it"), Some(long.clone()));
        assert_eq!(cdb.find(&long).expect("read it").as_deref(), Some(&b""[..]));
        assert_eq!(cdb.find(b"b").expect("read it"), None);
        fs::remove_file(path).expect("remove it");
    }

    #[test]
    fn hashes_are_those_of_the_specification() {
        assert_eq!(hash(b""), 5381);
        assert_eq!(hash(b"a"), (5381 * 33) ^ 97);
    }

    #[test]
    fn every_truncation_is_damage() {
        let whole = some(&[(b"1.2.3.4", b"D\0"), (b"", b"+A=b\0"), (b"127.", b"")]);
        let path = file("cut", &whole);
        assert!(Cdb::open(&path).is_ok());
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("write it");
            assert!(Cdb::open(&path).is_err(), "cut to {length} of {}", whole.len());
        }
        // With nothing in the last table, its position tells the end; with something, only its length does.
        let last = (0..u8::MAX).find(|&byte| hash(&[byte]) % 256 == 255).expect("a key of the last table");
        for whole in [some(&[]), some(&[(&[last], b"")])] {
            for length in HEADER as usize..whole.len() {
                fs::write(&path, &whole[..length]).expect("write it");
                assert!(Cdb::open(&path).is_err(), "cut to {length} of {}", whole.len());
            }
            fs::write(&path, &whole).expect("write it");
            assert!(Cdb::open(&path).is_ok());
        }
        fs::remove_file(path).expect("remove it");
    }

    #[test]
    fn a_length_beyond_the_end_is_damage() {
        let mut bytes = some(&[(b"a", b"data")]);
        bytes[HEADER as usize + 4..HEADER as usize + 8].fill(0xff);
        let path = file("long", &bytes);
        let error = Cdb::open(&path).expect("the tables are whole").find(b"a").expect_err("the record is not");
        assert_eq!(error.raw_os_error(), Some(Errno::EPROTO as i32));
        fs::remove_file(path).expect("remove it");
    }

    /// A file that shrinks while it is open: a mapping would end the process.
    #[test]
    fn a_file_cut_while_open_is_damage() {
        let long = vec![b'x'; 3 * START as usize];
        let path = file("shrunk", &some(&[(b"a", &long)]));
        let cdb = Cdb::open(&path).expect("open it");
        fs::write(&path, b"").expect("cut it");
        assert!(cdb.find(b"a").is_err());
        fs::remove_file(path).expect("remove it");
    }
}
