;; Has no test-secret.
(module
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) (i32.const 16)))
