//! Reading files that others may have put in place: whatever is there, nobody waits.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

/// Reads a regular file.
///
/// # Errors
///
/// When there is something else at the path: opening a FIFO would wait for a writer, and
/// reading a device may never end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let mut file = File::options()
        .read(true)
        .custom_flags(without_waiting)
        .open(path)?;
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
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
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
        assert_eq!(read(&file).unwrap(), b"text");
        for other in [&fifo, &link, Path::new("/dev/zero")] {
            let error = read(other).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file");
        }
        let error = read(&directory).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        fs::remove_dir_all(&directory).unwrap();
    }
}
