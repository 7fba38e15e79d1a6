;; Would open a socket of its own.
(module
  (import "wasi:sockets/tcp-create-socket@0.2.6" "create-tcp-socket" (func $create (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32)
    (call $create (i32.const 0) (i32.const 64))
    (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
