-- Pushes for wrk, those of load.py: some groups in turn, other values in every push.
-- Arguments: the file with the body's template, where to begin to count, the groups.
local samples = 25
local groups
local template, number
local values = {}
local headers = { ["Content-Type"] = "text/plain; version=0.0.4" }

function init(args)
  local file = assert(io.open(args[1]))
  template = file:read("*a")
  file:close()
  number = 10000 + tonumber(args[2]) % 40000
  groups = tonumber(args[3])
end

function request()
  number = number + 1
  for place = 1, samples do
    values[place] = number * 10 + place - 1
  end
  -- The histogram's count is its last bucket.
  values[samples] = values[samples - 2]
  local path = "/metrics/job/bench/instance/host-" .. number % groups
  local body = string.format(template, unpack(values))
  return wrk.format("PUT", path, headers, body)
end
