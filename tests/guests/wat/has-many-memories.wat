;; Has seventeen memories, all of them empty but the first.
(module
  (memory (export "memory") 1)
  (memory 0) (memory 0) (memory 0) (memory 0)
  (memory 0) (memory 0) (memory 0) (memory 0)
  (memory 0) (memory 0) (memory 0) (memory 0)
  (memory 0) (memory 0) (memory 0) (memory 0)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) (i32.const 16))
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
