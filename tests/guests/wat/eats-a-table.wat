;; Grows a table without end.
(module
  (memory (export "memory") 1)
  (table $references 1 funcref)
  (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32)
    (loop $again
      (drop (table.grow $references (ref.null func) (i32.const 100_000)))
      (br $again))
    unreachable)
  (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) (i32.const 16)))
