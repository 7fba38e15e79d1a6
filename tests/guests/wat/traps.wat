;; Reads where it has no memory.
(module
  (memory (export "memory") 1)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32)
    (drop (i32.load (i32.const -4)))
    (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
