;; What Go's runtime needs of WASI 0.1, made of WASI 0.2.
;;
;; The usual adapter takes memory for itself by growing it, while Go takes it for granted that nobody else
;; does: its heap then runs over the adapter's page, and an instance traps at random. This one takes none. It
;; writes into the addresses from 4096 to 12288, where Go puts nothing on this platform (a JavaScript host has
;; its arguments there). What a protocol has none of, it says: no arguments, environment, files, sockets.
(module
  (import "env" "memory" (memory 0))
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get-stdout (result i32)))
  (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $get-stderr (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[resource-drop]output-stream" (func $drop-stream (param i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.12" "[resource-drop]pollable" (func $drop-pollable (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $monotonic (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $subscribe (param i64) (result i32)))
  (import "wasi:clocks/wall-clock@0.2.12" "now" (func $wall (param i32)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $random (result i64)))

  ;; ---- nothing of it is there ----

  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; 8: no such descriptor
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
  ;; 76: nothing of the filesystem is given
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 76))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 76))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 76))

  ;; ---- the clock, chance, the end ----

  ;; Realtime is 0; Go asks for no other but monotonic, 1.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (if (local.get $clock)
      (then (i64.store (local.get $to) (call $monotonic)))
      (else
        (call $wall (i32.const 4096))
        (i64.store (local.get $to)
          (i64.add
            (i64.mul (i64.load (i32.const 4096)) (i64.const 1000000000))
            (i64.load32_u (i32.const 4104))))))
    (i32.const 0))

  (func (export "random_get") (param $to i32) (param $len i32) (result i32)
    (local $bits i64)
    (block $filled
      (loop $next
        (br_if $filled (i32.lt_u (local.get $len) (i32.const 8)))
        (i64.store (local.get $to) (call $random))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (local.set $len (i32.sub (local.get $len) (i32.const 8)))
        (br $next)))
    (local.set $bits (call $random))
    (block $done
      (loop $byte
        (br_if $done (i32.eqz (local.get $len)))
        (i64.store8 (local.get $to) (local.get $bits))
        (local.set $bits (i64.shr_u (local.get $bits) (i64.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $byte)))
    (i32.const 0))

  ;; Go calls it behind a panic and behind os.Exit. Neither is an answer.
  (func (export "proc_exit") (param $code i32) unreachable)

  ;; ---- standard input is empty, standard output and error are kept ----

  (func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $to) (i64.const 2)) ;; a character device
    (i64.store offset=8 (local.get $to) (i64.const 0))
    (i64.store offset=16 (local.get $to) (i64.const 0))
    (i32.const 0))

  (func (export "fd_read") (param $fd i32) (param $to i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))

  (func (export "fd_write") (param $fd i32) (param $from i32) (param $count i32) (param $written i32) (result i32)
    (local $stream i32) (local $at i32) (local $len i32) (local $part i32) (local $all i32) (local $errno i32)
    (if (i32.eq (local.get $fd) (i32.const 1))
      (then (local.set $stream (call $get-stdout)))
      (else
        (if (i32.ne (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
        (local.set $stream (call $get-stderr))))
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $count)))
        (local.set $at (i32.load (local.get $from)))
        (local.set $len (i32.load offset=4 (local.get $from)))
        (loop $more
          (if (local.get $len)
            (then
              ;; 4096 bytes are what one call takes.
              (local.set $part (select (local.get $len) (i32.const 4096) (i32.lt_u (local.get $len) (i32.const 4096))))
              (call $write (local.get $stream) (local.get $at) (local.get $part) (i32.const 4096))
              (if (i32.load8_u (i32.const 4096))
                (then
                  ;; An error of the stream. Its handle, where it comes with one, goes with the instance.
                  (local.set $errno (i32.const 29))
                  (br $end)))
              (local.set $all (i32.add (local.get $all) (local.get $part)))
              (local.set $at (i32.add (local.get $at) (local.get $part)))
              (local.set $len (i32.sub (local.get $len) (local.get $part)))
              (br $more))))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (call $drop-stream (local.get $stream))
    (i32.store (local.get $written) (local.get $all))
    (local.get $errno))

  ;; ---- waiting ----

  ;; Waits for the clock that comes first. What waits for anything else is ready at once, and will find that there
  ;; is nothing. A subscription has 48 bytes: what for (8), clock or else (1), at 24 nanoseconds (8), at 40 bit 0:
  ;; they are a time and no duration. An event has 32: what for (8), error (2), clock or else (1).
  (func (export "poll_oneoff") (param $from i32) (param $to i32) (param $count i32) (param $events i32) (result i32)
    (local $left i32) (local $at i32) (local $first i64) (local $wait i64) (local $now i64) (local $pollable i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (local.set $first (i64.const -1))
    (local.set $now (call $monotonic))
    (local.set $at (local.get $from))
    (local.set $left (local.get $count))
    (loop $next
      (local.set $wait (call $wait (local.get $at) (local.get $now)))
      (if (i64.lt_u (local.get $wait) (local.get $first)) (then (local.set $first (local.get $wait))))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (if (i64.ne (local.get $first) (i64.const 0))
      (then
        (local.set $pollable (call $subscribe (local.get $first)))
        (call $block (local.get $pollable))
        (call $drop-pollable (local.get $pollable))))
    (i32.store (local.get $events) (i32.const 0))
    (loop $next
      (if (i64.le_u (call $wait (local.get $from) (local.get $now)) (local.get $first))
        (then
          (i64.store (local.get $to) (i64.load (local.get $from)))
          (i64.store offset=8 (local.get $to) (i64.shl (i64.load8_u offset=8 (local.get $from)) (i64.const 16)))
          (i64.store offset=16 (local.get $to) (i64.const 0))
          (i64.store offset=24 (local.get $to) (i64.const 0))
          (local.set $to (i32.add (local.get $to) (i32.const 32)))
          (i32.store (local.get $events) (i32.add (i32.load (local.get $events)) (i32.const 1)))))
      (local.set $from (i32.add (local.get $from) (i32.const 48)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count)))
    (i32.const 0))

  ;; How long one subscription waits from now on.
  (func $wait (param $subscription i32) (param $now i64) (result i64)
    (local $when i64)
    (if (i32.load8_u offset=8 (local.get $subscription)) (then (return (i64.const 0))))
    (local.set $when (i64.load offset=24 (local.get $subscription)))
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $subscription)) (i32.const 1)))
      (then (return (local.get $when))))
    (if (i64.le_u (local.get $when) (local.get $now)) (then (return (i64.const 0))))
    (i64.sub (local.get $when) (local.get $now)))
)
