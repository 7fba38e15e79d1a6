//! Compiles a component: reads it from standard input, writes code for this machine to standard output.
//!
//! `bootstrap` starts this program for a plugin that comes without code. The component may be hostile, so the program gives up
//! everything before it reads the first byte: limits on processor time, memory and files, and a filter of system calls that leaves
//! reading and writing what is open already, memory and time. It cannot open a file (`/proc/PID/environ` of its parent holds AWS
//! credentials), make a socket, start a program or look into another process.
//!
//! Exit status: 0 with the code on standard output; 1 with a sentence on standard error.

use std::io::{Read, Write};
use std::process::ExitCode;

use windlass::plugin::code::compiler;
use windlass::plugin::component_file::MAX_BYTES;

fn main() -> ExitCode {
    let Err(complaint) = compile() else { return ExitCode::SUCCESS };
    // Standard error is this program's only way to say why, and its reader cuts and cleans it.
    let _ = writeln!(std::io::stderr(), "{complaint}");
    ExitCode::FAILURE
}

fn compile() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(target_os = "linux")]
    confinement::enter()?;
    let mut wasm = Vec::new();
    std::io::stdin().take(MAX_BYTES + 1).read_to_end(&mut wasm)?;
    if wasm.len() as u64 > MAX_BYTES {
        return Err(format!("the component has more than {MAX_BYTES} bytes").into());
    }
    let code = compiler::compile(&wasm)?;
    let mut out = std::io::stdout();
    out.write_all(&code)?;
    out.flush()?;
    Ok(())
}

/// What this program gives up.
#[cfg(target_os = "linux")]
mod confinement {
    use std::collections::BTreeMap;

    use rustix::process::{Resource, Rlimit, setrlimit};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    /// Address space, in bytes: the compiler needs about twenty times the component's size, 300 MB for the largest known.
    const MAX_ADDRESS_SPACE: u64 = 4 << 30;

    /// Processor time, in seconds.
    const MAX_SECONDS: u64 = 120;

    /// Enters the confinement. There is no way back.
    pub(crate) fn enter() -> Result<(), Box<dyn std::error::Error>> {
        let limits = [
            (Resource::Cpu, MAX_SECONDS),
            (Resource::As, MAX_ADDRESS_SPACE),
            // Standard input, output and error are open already.
            (Resource::Nofile, 3),
            (Resource::Fsize, 0),
            (Resource::Core, 0),
        ];
        for (resource, limit) in limits {
            setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
        }
        filter()
    }

    /// Refuses, with EPERM, every system call that is not named here. Sets no_new_privs too, without which Linux takes no filter.
    pub(crate) fn filter() -> Result<(), Box<dyn std::error::Error>> {
        let allowed = [
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_close,
            libc::SYS_fstat,
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_mprotect,
            libc::SYS_madvise,
            libc::SYS_brk,
            libc::SYS_futex,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sigaltstack,
            libc::SYS_restart_syscall,
            libc::SYS_getrandom,
            libc::SYS_clock_gettime,
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_gettid,
            libc::SYS_getpid,
            libc::SYS_exit,
            libc::SYS_exit_group,
        ];
        let rules: BTreeMap<_, _> = allowed.into_iter().map(|call| (call, Vec::new())).collect();
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use std::io::ErrorKind::PermissionDenied;

        /// The filter holds for the thread that enters it, so a thread is all that a test loses.
        fn confined<T: Send>(act: impl FnOnce() -> T + Send) -> T {
            std::thread::scope(|scope| {
                let inside = || {
                    super::filter().unwrap();
                    act()
                };
                scope.spawn(inside).join().unwrap()
            })
        }

        #[test]
        fn opens_no_file_not_even_the_environment_of_its_parent() {
            let parent = format!("/proc/{}/environ", std::os::unix::process::parent_id());
            std::fs::read(&parent).expect("readable without the filter");
            let kinds = confined(move || {
                let open = [&parent, "/proc/self/environ", "/etc/passwd"].map(|path| std::fs::read(path).unwrap_err().kind());
                let create = std::fs::write(std::env::temp_dir().join("windlass-compile-test"), b"").unwrap_err().kind();
                (open, create, std::fs::read_dir("/proc").map(drop).unwrap_err().kind())
            });
            assert_eq!(kinds, ([PermissionDenied; 3], PermissionDenied, PermissionDenied));
        }

        #[test]
        fn reaches_no_network_and_no_socket() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            std::net::TcpStream::connect(address).expect("reachable without the filter");
            let kinds = confined(move || {
                (
                    std::net::TcpStream::connect(address).map(drop).unwrap_err().kind(),
                    std::net::UdpSocket::bind("127.0.0.1:0").map(drop).unwrap_err().kind(),
                    std::os::unix::net::UnixStream::pair().map(drop).unwrap_err().kind(),
                )
            });
            assert_eq!(kinds, (PermissionDenied, PermissionDenied, PermissionDenied));
        }

        #[test]
        fn starts_no_program_and_no_thread_and_stops_no_process() {
            let kinds = confined(|| {
                (
                    std::process::Command::new("/bin/true").spawn().map(drop).unwrap_err().kind(),
                    std::thread::Builder::new().spawn(|| ()).map(drop).unwrap_err().kind(),
                    rustix::process::test_kill_process(rustix::process::getpid()).unwrap_err().kind(),
                )
            });
            assert_eq!(kinds, (PermissionDenied, PermissionDenied, PermissionDenied));
        }

        #[test]
        fn compiles_all_the_same() {
            let compiled = confined(|| windlass::plugin::code::compiler::compile(b"\0asm\x0d\0\x01\0"));
            assert!(!compiled.unwrap().is_empty());
        }
    }
}
