;; Waits in the host for an hour.
(module
  (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $subscribe (param i64) (result i32)))
  (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32)
    (call $block (call $subscribe (i64.const 3_600_000_000_000)))
    (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
