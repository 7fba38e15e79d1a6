;; Prints for ever.
(module
  (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
  (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32)
    (local $stdout i32)
    (memory.fill (i32.const 1024) (i32.const 120) (i32.const 4096))
    (local.set $stdout (call $stdout))
    (loop $again
      (call $write (local.get $stdout) (i32.const 1024) (i32.const 4096) (i32.const 96))
      (br $again))
    unreachable)
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
