;; A plugin from outside, without code: it exports the interface that it imports.
(component
  (import "windlass:rotation/log@0.1.0" (instance $steps
    (export "set-secret" (func))
    (export "test-secret" (func))))
  (export "windlass:rotation/rotator@0.1.0" (instance $steps))
  (@custom "windlass:manifest" "name = \"acme\"\nversion = \"1.0.0\"\n"))
