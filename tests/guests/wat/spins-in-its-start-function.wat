;; Never returns from its start function, which runs before any step.
(module
  (memory (export "memory") 1)
  (func $spin (loop $again (br $again)))
  (start $spin)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
