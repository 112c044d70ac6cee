//! The one place where an outcome becomes an errno.

use super::error::VfsError;

/// The errno that a failed operation answers.
pub fn errno(error: &VfsError) -> i32 {
    match error {
        // Whoever serves the kernel fetches what is missing; one that gives up says that the data cannot be had.
        VfsError::Miss(_) => libc::EIO,
        VfsError::NotFound | VfsError::Unknown(_) => libc::ENOENT,
        VfsError::Exists => libc::EEXIST,
        VfsError::NotDirectory => libc::ENOTDIR,
        VfsError::IsDirectory => libc::EISDIR,
        VfsError::NotEmpty => libc::ENOTEMPTY,
        VfsError::NameTooLong => libc::ENAMETOOLONG,
        VfsError::Invalid(_) => libc::EINVAL,
        VfsError::BadHandle => libc::EBADF,
        VfsError::Stale => libc::ESTALE,
        VfsError::NotPermitted(_) => libc::EPERM,
        // EPERM would say that no right helps; here a right at the store does.
        VfsError::Denied(_) => libc::EACCES,
        VfsError::ReadOnly(_) => libc::EROFS,
        // mv(1) takes it as the request to copy and delete, as between filesystems.
        VfsError::CrossDevice(_) => libc::EXDEV,
        // A conflict is not EAGAIN: trying again changes nothing until somebody decides.
        VfsError::Busy(_) => libc::EBUSY,
        // An outcome that is not known is neither success nor failure; reading the control file tells later.
        VfsError::InProgress(_) => libc::EINPROGRESS,
        VfsError::NoAttribute => libc::ENODATA,
        // setxattr(2): "there is insufficient space remaining to store the extended attribute".
        VfsError::AttributesFull | VfsError::NoSpace(_) => libc::ENOSPC,
        VfsError::BufferTooSmall => libc::ERANGE,
        VfsError::TooLarge => libc::EFBIG,
        VfsError::TooManyLinks => libc::EMLINK,
        VfsError::NoData => libc::ENXIO,
        VfsError::NotSupported(_) => libc::EOPNOTSUPP,
        // To a program: every file is always ready to poll(2), and ENOTTY for ioctl(2).
        VfsError::LeftToKernel => libc::ENOSYS,
        // Never ENOENT: what cannot be read now is there.
        VfsError::Unreadable(_) => libc::EIO,
    }
}
