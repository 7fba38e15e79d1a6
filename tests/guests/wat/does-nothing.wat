;; Succeeds in both steps: at address 16 stands a zero, which reads as `changed` and as `accepted`.
(module
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
