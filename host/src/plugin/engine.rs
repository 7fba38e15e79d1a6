//! The one wasmtime configuration, for compiling and for running alike, and the clock that interrupts guests.

use std::time::Duration;

use wasmtime::{Config, Engine, Error, ModuleVersionStrategy, WasmBacktraceDetails};

/// How often running guests are interrupted in order to let other work go on, which is how exactly a deadline is kept.
pub const TICK: Duration = Duration::from_millis(10);

/// What compiled code has to name to be loaded. wasmtime compares only its major version by itself, which would keep code alive
/// that a faulty 48.0.x compiler made. The last number counts changes of [`config`].
pub const CODE_VERSION: &str = "windlass wasmtime-48.0.8 1";

/// The configuration of every engine.
///
/// Code that one engine compiles loads in another only if both agree in all of this, so there is one function, and it reads neither
/// the environment nor the processor.
///
/// # Errors
///
/// wasmtime's own words if it does not know the target.
pub fn config() -> Result<Config, Error> {
    config_for(Target::HOST)
}

/// The same for the engine of another machine. Without a target it is that of this one, as wasmtime finds it.
///
/// # Errors
///
/// As [`config`].
pub(crate) fn config_for(target: Option<Target>) -> Result<Config, Error> {
    let mut config = Config::new();
    if let Some(target) = target {
        // Naming the target switches the detection of processor features off: code compiled on a builder with AVX-512 runs on every
        // machine of a Lambda fleet.
        config.target(target.triple())?;
    }
    config.module_version(ModuleVersionStrategy::Custom(CODE_VERSION.to_owned()))?;
    config.epoch_interruption(true);
    // What a guest computed must not stay on a stack that another call gets.
    config.async_stack_zeroing(true);
    // wasmtime reads WASMTIME_BACKTRACE_DETAILS unless told; code compiled with another value of it would not load.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.native_unwind_info(false);
    config.generate_address_map(true);
    // Address space, not memory: 4 GiB without access rights are not counted by the kernel, not even where it does not overcommit,
    // and make every 32-bit address of a guest land in memory that is its own or a fault. How much of it a guest may use is the
    // limiter's decision.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    config.memory_reservation_for_growth(0);
    config.memory_may_move(false);
    config.memory_init_cow(true);
    config.max_wasm_stack(512 << 10);
    config.async_stack_size(1 << 20);
    // Proposals that no toolchain of a plugin needs; several of wasmtime's advisories were about one of them. Threads, garbage
    // collection, exceptions and the asynchronous component model are not even compiled in.
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_stack_switching(false);
    config.wasm_shared_everything_threads(false);
    config.shared_memory(false);
    Ok(config)
}

/// A machine that code is made for: its architecture and system, without the features of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Lambda on x86-64.
    X86_64,
    /// Lambda on arm64, which other people call aarch64.
    Aarch64,
    /// A developer's Mac. It runs plugins, and no code is made for it ahead of time.
    MacOs,
}

impl Target {
    /// The machine that this program was built for; nothing on a system that is not tried, where wasmtime decides.
    pub const HOST: Option<Self> = if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        Some(Self::X86_64)
    } else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        Some(Self::Aarch64)
    } else if cfg!(all(target_arch = "aarch64", target_os = "macos")) {
        Some(Self::MacOs)
    } else {
        None
    };

    /// The target triple, as compilers name it.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::MacOs => "aarch64-apple-darwin",
        }
    }

    /// The short name, as in file names and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::MacOs => "macos",
        }
    }
}

/// Starts the thread that interrupts the guests of `engine`. It ends with the engine.
///
/// A thread of its own, because a timer of the asynchronous runtime does not run while a guest spins on the runtime's only thread.
///
/// # Errors
///
/// The operating system gives no thread.
pub fn tick(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let ticking = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            #[expect(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("plugin-ticker".to_owned()).stack_size(64 << 10).spawn(ticking).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_version_names_the_wasmtime_that_is_locked() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, package) = lock.split_once("name = \"wasmtime\"\nversion = \"").unwrap();
        let (version, _) = package.split_once('"').unwrap();
        assert!(CODE_VERSION.contains(&format!("wasmtime-{version} ")), "{version}");
    }

    /// What wasmtime says that code of this configuration is compatible with, for each target.
    #[cfg(feature = "compiler")]
    fn fingerprint(target: Target) -> String {
        use std::hash::{Hash, Hasher};

        use sha2::{Digest, Sha256};

        struct Sha256Hasher(Sha256);

        impl Hasher for Sha256Hasher {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            fn finish(&self) -> u64 {
                unreachable!("the whole digest is asked for")
            }
        }

        let mut hasher = Sha256Hasher(Sha256::new());
        Engine::new(&config_for(Some(target)).unwrap()).unwrap().precompile_compatibility_hash().hash(&mut hasher);
        hasher.0.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn whoever_changes_the_configuration_counts_it_in_the_code_version() {
        // Another fingerprint: raise the last number of CODE_VERSION, too, so that envelopes say why they are not loaded.
        let found = format!("{CODE_VERSION}: {} {}", fingerprint(Target::X86_64), fingerprint(Target::Aarch64));
        assert_eq!(found, "windlass wasmtime-48.0.8 1: e9996a06741762d6 07a38c34ccbd48f9");
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn code_does_not_depend_on_the_environment() {
        let wasm = b"\0asm\x0d\0\x01\0";
        let hash = |engine: &Engine| engine.precompile_component(wasm).unwrap();
        assert_eq!(hash(&Engine::new(&config().unwrap()).unwrap()), hash(&Engine::new(&config().unwrap()).unwrap()));
    }
}
