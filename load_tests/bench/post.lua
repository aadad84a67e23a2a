-- Sends every request of a file once, one after another over all connections, and says when the first was sent and
-- when the last was answered, so that neither preparing nor an answer that nobody waited for is measured.
--
-- wrk ... -- FILE STATUS NAME...
-- FILE: each request as its length, a line feed, and its bytes, finished: its headers and its signature are in it.
-- STATUS: what every answer must have. NAME...: whole numbers of the answers' bodies, which are summed.

local requests, promised, sent, answered = {}, 0, 0, 0
local status_wanted, names, sums = 0, {}, {}
local verified, refused = false, false
-- wrk cannot leave a connection idle that has nothing left to send, but it asks how long each is to wait.
local idle_milliseconds = 3600000
-- What wrk throws away, and what a connection sends that was lost and made anew.
local nothing = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

local function say(line)
  io.write(line, "\n")
  io.flush()
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local length = file:read("*l")
  while length do
    requests[#requests + 1] = file:read(tonumber(length))
    length = file:read("*l")
  end
  file:close()
  status_wanted = tonumber(arguments[2])
  for place = 3, #arguments do
    names[#names + 1] = '"' .. arguments[place] .. '":(%d+)'
    sums[#sums + 1] = 0
  end
end

-- wrk asks before each request: no connection is promised one that another connection takes.
function delay()
  if promised == #requests then
    return idle_milliseconds
  end
  promised = promised + 1
  return 0
end

function request()
  -- wrk asks for one request before it begins, to see whether it is one.
  if not verified or sent == #requests then
    verified = true
    return nothing
  end
  sent = sent + 1
  if sent == 1 then
    say("begun")
  end
  local each = requests[sent]
  requests[sent] = true
  return each
end

function response(status, _, body)
  if status == 200 and status_wanted ~= 200 then
    return -- to `nothing`
  end
  if status ~= status_wanted then
    if not refused then
      refused = true
      say("refused " .. status .. " " .. body)
    end
    return
  end
  answered = answered + 1
  for place, name in ipairs(names) do
    sums[place] = sums[place] + tonumber(body:match(name) or 0)
  end
  if answered == #requests then
    say("answered " .. table.concat(sums, " "))
  end
end
