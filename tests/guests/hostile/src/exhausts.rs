//! Time, memory and stack without end.

use std::hint::black_box;

use windlass_sdk::random;

/// Never returns and calls nothing.
pub fn spins() -> ! {
    let mut turns = 0_u64;
    loop {
        // Without this the compiler may leave the loop out.
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Is in the host nearly all the time, where the interrupt for guests does not reach.
pub fn calls_the_host_in_a_loop() -> ! {
    loop {
        black_box(random::bytes::<65_536>());
    }
}

/// Takes memory in pieces of 1 MiB until it gets no more.
pub fn eats_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        // Not zero, so that the pages are touched.
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Calls itself until the stack is at its end.
pub fn recurses() -> ! {
    unreachable!("{}", deeper(0))
}

fn deeper(depth: u64) -> u64 {
    // What is done with the result keeps the call from becoming a jump.
    black_box(deeper as fn(u64) -> u64)(depth + 1).wrapping_mul(depth | 1)
}
