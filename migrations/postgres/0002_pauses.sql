-- What a remote asks for is apart from an action's own pace: it stops also what the pace has given a
-- time already.

-- Until when a remote asked the action to wait. An action without a pace of its own has one of long
-- ago, 0.
ALTER TABLE action_paces ADD COLUMN paused_until bigint;
