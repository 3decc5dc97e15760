//! Reading files that others may have put in place: whatever is there, nobody waits, and
//! no more is read than was meant.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

/// How large a file may be, in bytes: a list of a million customers is a quarter of it.
pub(crate) const LARGEST: u64 = 256 << 20;

/// Reads a regular file of `at_most` so many bytes.
///
/// # Errors
///
/// When it is larger, or there is something else at the path: opening a FIFO would wait
/// for a writer, and reading a device may never end.
pub(crate) fn read(path: &Path, at_most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    // A file may grow, and the length of one that the kernel makes up is 0.
    let mut bytes = Vec::new();
    file.take(at_most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > at_most {
        let why = format!("it is larger than {} MiB", at_most >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// Opens a file without waiting, unless another process holds a lease on it (a file
/// server does): the kernel then waits for that to be given up, 45 seconds at the most.
fn open(path: &Path) -> io::Result<File> {
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options()
        .read(true)
        .custom_flags(without_waiting)
        .open(path);
    match opened {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && path.is_file() => {
            File::open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_is_read_and_nothing_else_is_waited_for() {
        let directory = std::env::temp_dir().join(format!("regular-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (file, fifo) = (directory.join("file"), directory.join("fifo"));
        fs::write(&file, "text").unwrap();
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert_eq!(read(&file, 4).unwrap(), b"text");
        for other in [&fifo, &link, Path::new("/dev/zero")] {
            let error = read(other, LARGEST).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file");
        }
        let error = read(&directory, LARGEST).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let error = read(&file, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        // A hole that is larger than the machine's memory.
        File::create(&file).unwrap().set_len(1 << 42).unwrap();
        let error = read(&file, 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1 MiB");
        fs::remove_dir_all(&directory).unwrap();
    }
}
