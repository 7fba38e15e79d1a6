;; Ends itself, as a program that is content.
(module
  (import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) (call $exit (i32.const 0)) unreachable)
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
