//! What a repeat of a command can do. What is not known here is taken for something that acts twice.

use action_protocol::Effect;
use action_protocol::template::{Scalar, Values};

use crate::config::{Argument, Config};

/// Commands that only read.
const READS: &str = " GET MGET STRLEN GETRANGE SUBSTR LCS EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE KEYS SCAN \
    HSCAN SSCAN ZSCAN RANDOMKEY DBSIZE HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HRANDFIELD LRANGE LINDEX \
    LLEN LPOS SMEMBERS SISMEMBER SMISMEMBER SCARD SINTER SUNION SDIFF SINTERCARD SRANDMEMBER ZRANGE ZRANGEBYSCORE \
    ZREVRANGE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZCARD ZCOUNT ZLEXCOUNT ZSCORE ZMSCORE ZRANK ZREVRANK \
    ZRANDMEMBER ZINTER ZUNION ZDIFF ZINTERCARD BITCOUNT BITPOS GETBIT BITFIELD_RO PFCOUNT GEODIST GEOHASH GEOPOS \
    GEOSEARCH XRANGE XREVRANGE XLEN XREAD XPENDING XINFO PING ECHO TIME INFO DUMP OBJECT SORT_RO EVAL_RO EVALSHA_RO \
    FCALL_RO ";

/// Commands after whose repeat everything is as after the first time.
const SETTLES: &str = " SET MSET SETEX PSETEX SETNX MSETNX SETRANGE SETBIT DEL UNLINK HSET HMSET HSETNX HDEL SADD SREM \
    ZADD ZREM ZREMRANGEBYSCORE ZREMRANGEBYLEX EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST LSET PFADD GEOADD XACK XDEL \
    FLUSHDB FLUSHALL ";

/// Of all commands of a config: the worst one counts.
pub fn of(config: &Config) -> Effect {
    if let Some(word) = config.effect {
        return word.into();
    }
    let effects = config.commands.iter().map(|command| of_command(command));
    effects.fold(Effect::Read, |worst, effect| if rank(effect) > rank(worst) { effect } else { worst })
}

fn of_command(command: &[Argument]) -> Effect {
    let Some(name) = Config::name_of(command) else { return Effect::Unsafe };
    let known = |names: &str| names.contains(&format!(" {name} "));
    if known(READS) {
        return Effect::Read;
    }
    if !known(SETTLES) {
        return Effect::Unsafe;
    }
    // ZADD INCR adds once more; XADD and its like are not in the list.
    let adds = command.iter().any(
        |argument| matches!(argument, Argument::Values(Values::One(Scalar::Text(text))) if text.eq_ignore_ascii_case("INCR")),
    );
    if name == "ZADD" && adds { Effect::Unsafe } else { Effect::Idempotent }
}

fn rank(effect: Effect) -> u8 {
    match effect {
        Effect::Read => 0,
        Effect::Idempotent => 1,
        Effect::Keyed => 2,
        Effect::Unsafe => 3,
    }
}
