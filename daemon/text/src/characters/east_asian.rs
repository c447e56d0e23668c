//! How common the characters of East Asian writing are.
//!
//! Tiers: the most frequent characters, frequent ones, and the two levels of the national standards (GB 2312, Big5, JIS X 0208,
//! KS X 1001), which the decoders of `encoding_rs` enumerate. The lists of frequent characters are written for this program from
//! general knowledge of modern text (letters, news, chat, reports of devices), in the order of their frequency, roughly. They
//! hold about 85 % of running text, and take 12 KB.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK};

/// How common a character is in a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Not in the language's standard.
    None,
    /// In the second level of the standard: rare characters.
    Second,
    /// In the first level of the standard.
    First,
    /// Among the frequent ones.
    Common,
    /// Among the first of the list of frequent ones.
    Top,
}

/// The tiers of a Chinese character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Han {
    pub(super) simplified: Tier,
    pub(super) traditional: Tier,
    pub(super) japanese: Tier,
}

/// Chinese characters that the tables cover.
pub(super) const HAN: RangeInclusive<char> = '\u{4e00}'..='\u{9fff}';

/// Korean syllables.
pub(super) const HANGUL: RangeInclusive<char> = '\u{ac00}'..='\u{d7a3}';

/// How many of the frequent ones are the most frequent ones.
const TOP: usize = 100;

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

struct Tables {
    han: Vec<Han>,
    hangul: Vec<Tier>,
}

/// Returns the tiers of a character of [`HAN`].
pub(super) fn han(character: char) -> Han {
    TABLES.han[place(character, &HAN)]
}

/// Returns the tier of a syllable of [`HANGUL`].
pub(super) fn hangul(character: char) -> Tier {
    TABLES.hangul[place(character, &HANGUL)]
}

fn place(character: char, range: &RangeInclusive<char>) -> usize {
    character as usize - *range.start() as usize
}

impl Tables {
    fn new() -> Self {
        let count = |range: &RangeInclusive<char>| place(*range.end(), range) + 1;
        let nowhere = Han { simplified: Tier::None, traditional: Tier::None, japanese: Tier::None };
        let mut tables = Self { han: vec![nowhere; count(&HAN)], hangul: vec![Tier::None; count(&HANGUL)] };
        tables.fill(|han| &mut han.simplified, GBK, 0xb0..=0xd7, 0xd8..=0xf7, SIMPLIFIED);
        tables.fill(|han| &mut han.traditional, BIG5, 0xa4..=0xc6, 0xc9..=0xf9, TRADITIONAL);
        tables.fill(|han| &mut han.japanese, EUC_JP, 0xb0..=0xcf, 0xd0..=0xf4, JAPANESE);
        let syllables =
            characters(EUC_KR, 0xb0..=0xc8).map(|character| (character, Tier::First)).collect::<Vec<_>>();
        for (character, tier) in syllables.into_iter().chain(ranked(KOREAN)) {
            tables.hangul[place(character, &HANGUL)] = tier;
        }
        tables
    }

    /// Fills the tiers of one language: the levels of its standard, by their lead bytes, and the frequent ones.
    fn fill(
        &mut self,
        tier_of: impl Fn(&mut Han) -> &mut Tier,
        encoding: &'static Encoding,
        first: RangeInclusive<u8>,
        second: RangeInclusive<u8>,
        frequent: &'static str,
    ) {
        let second = characters(encoding, second).map(|character| (character, Tier::Second));
        let first = characters(encoding, first).map(|character| (character, Tier::First));
        for (character, tier) in
            second.chain(first).chain(ranked(frequent)).filter(|(one, _)| HAN.contains(one))
        {
            *tier_of(&mut self.han[place(character, &HAN)]) = tier;
        }
    }
}

fn ranked(frequent: &'static str) -> impl Iterator<Item = (char, Tier)> {
    let tier = |rank| if rank < TOP { Tier::Top } else { Tier::Common };
    frequent.chars().enumerate().map(move |(rank, character)| (character, tier(rank)))
}

/// Lists the characters of two bytes with these lead bytes.
fn characters(encoding: &'static Encoding, leads: RangeInclusive<u8>) -> impl Iterator<Item = char> {
    // Each on a line of its own, since a line feed ends an incomplete sequence.
    let trails = if encoding == BIG5 { 0x40..=0xfe } else { 0xa1..=0xfe };
    let pairs = leads.flat_map(|lead| trails.clone().flat_map(move |trail| [lead, trail, b'\n']));
    let lines: Vec<u8> = pairs.collect();
    let (text, _) = encoding.decode_without_bom_handling(&lines);
    let lines = text.split('\n').filter(|line| line.chars().count() == 1);
    lines.flat_map(str::chars).collect::<Vec<_>>().into_iter()
}

/// Simplified characters of mainland China: 1499.
const SIMPLIFIED: &str = "\
    的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所\
    然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与\
    长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己\
    制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系\
    气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社\
    便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉\
    格望觉术领共确传师观清今切院让识候带导争运笑飞风步改收根干造言联持组每济车亲极林服快办议往元英士证近失转夫令\
    准布始怎呢存未远叫台单影具罗字爱击流备兵连调深商算质团集百需价花党华城石级整府离况亚请技际约示复病息究线似官\
    火断精满支视消越器容照须九增研写称企八功吗包片史委乎查轻易早曾除农找装广显吧阿李标谈吃图念六引历首医局突专费\
    号尽另周较注语仅考落青随选列武红响虽推势参希古众构房半节土投某案黑维革划敌致陈律足态护七兴派孩验责营星够章音\
    跟志底站严巴例防族供效续施留讲型料终答紧黄绝奇察母京段依批群项故按河米围江织害斗双境客纪采举杀攻父苏密低朝友\
    诉止细愿千值您哈码邮启页灯湿阀泵库闭氧频率载磁盘箱档录键锁址端屏雨雪冰春夏秋冬昨饭菜茶票楼店啊嘛哦喂拜烟烧\
    旧递退登警障漏滤炉锅稍谢妈爸饿困忙睡醒仍男钱破网热助倒育属坐帝限船脸职速刻乐否刚威毛状甚独球般普怕弹校苦创假\
    久错承印晚兰试股拿脑预谁益阳若哪微尼继送急血惊伤素药适波夜省初喜卫源食险待述陆习置居劳财环排福纳欢雷获模充负\
    云停木游龙树疑层冷洲冲射略范竟句室异激汉村策演简卡罪判担州静既衣宗积余痛检差富灵协角占配征修皮挥胜降阶审沉坚\
    善刘读超免压银买皇养伊怀执副乱抗犯追帮宣佛岁航优怪香著田铁控税左右份穿艺背阵草脚概恶块顿敢守酒岛托央户烈洋哥\
    索胡款靠评版宝座释景顾弟货互付伯慢欧换闻危核暗姐介坏讨丽良序升监临亮露永呼味野架域沙掉括舰鱼杂误湾吉减编楚肯\
    测败屋跑梦散温剑渐封救贵枪缺县尚毫移娘朋画班智亦耳恩短掌恐遗固席松秘鲁遇康虑幸均销钟诗藏赶剧损忽巨炮探湖叶乡\
    附吸予礼港呀板庭妇归睛额含顺输摇招婚脱补谓督毒油疗旅泽材灭逐莫笔亡鲜词圣择寻厂博勒授诺伦岸奥唐卖俄炸洛健堂旁\
    宫喝借君禁阴园谋宋避抓荣姑孙逃牙束跳顶玉镇午练迫爷篇肉嘴馆遍凡础洞卷坦牛宁纸诸训私庄祖丝翻暴森塔默握戏隐熟骨\
    访弱蒙歌鬼软典欲萨伙遭扩盖弄雄稳忘亿刺拥徒姆杨齐赛趣曲刀床迎虚玩析窗妻透购替塞努休虎扬途侵刑绿兄迅套贸毕唯谷\
    轮迹尤竞街促延震弃甲伟麻川申缓潜闪售针哲络抵朱埃抱鼓植纯忍杰筑折郑贝尊吴秀混臣雅振染盛怒舞圆搞狂措姓残培迷诚\
    宽宇猛摆梅毁伸摩盟末乃悲拍丁赵硬麦蒋操耶阻订彩抽赞魔纷沿喊违妹浪汇币丰蓝殊献桌啦瓦莱援译夺汽距裁偏符勇触课敬\
    哭懂墙袭召罚侠厅巧侧韩冒债曼融惯享戴童犹乘挂奖绍厚纵讯涉彻刊丈爆乌役描洗玛患妙镜唱烦签仙彼弗症仿倾牌陷鸟轰咱\
    奋庆撤泪疾缘播朗杜奶季丹狗尾仪偷奔珠虫驻孔宜艾桥淡翼恨繁寒伴叹旦愈潮粮缩罢聚径恰挑袋灰捕徐珍幕映裂泰隔尖忠累\
    炎暂估泛荒偿横拒瑞忆孤鼻闹羊呆厉衡胞零穷舍赫婆魂灾洪腿胆津俗辩胸晓劲贫仁偶辑邦恢赖圈摸仰润堆碰艇迟辆废净凶署\
    壁御奉旋矿抬蛋晨伏吹鸡倍糊秦盾杯租骑乏隆诊奴摄丧污渡旗甘耐凭扎抢绪粗肩梁幻菲皆碎宙叔岩荡综爬荷悉蒂返井壮薄悄\
    扫敏碍殖详迪矛霍允幅撒剩凯颗骂赏液番贴漫酸郎腰舒眉忧浮辛恋餐吓挺励辞艘伍峰尺黎辈贯侦";

/// Traditional characters of Taiwan and Hong Kong: 1200.
const TRADITIONAL: &str = "\
    的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得于下自之年過發後作裡用道行所然\
    家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長\
    把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重并物手應戰向頭文體政美相見被利什二等產或新己制\
    身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣\
    題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便\
    空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象妳嗎呢吧啊喔您臺灣於檔碼腦網路訊號溫濕壓閥泵斷線連\
    啟郵頁燈庫閉頻載磁碟箱鍵鎖址埠螢幕捷運完設式色記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今\
    切院讓識候帶導爭笑飛風步改收根干造言聯持組每濟車親極林服快辦議往元英士證近失轉夫令準布始怎存未遠叫台單影具羅\
    字愛擊流備兵調深商算質團集百需價花黨華城石級整府離況亞請技際約示復病息究似官火精滿支視消越器容照須九增研寫稱\
    企八功包片史委乎查輕易早曾除農找裝廣顯阿李標談吃圖念六引歷首醫局突專費盡另周較註語僅考落青隨選列武紅響雖推勢\
    參希古構房半節土投某案黑維革劃敵致陳律足態護七興派孩驗責營星夠章音跟誌底站嚴巴例防族供效續施留講型料終答緊黃\
    絕奇察母京段依批群項故按河米圍江織害斗雙境客紀採舉殺攻父蘇密低朝友訴止細願千值仍男錢破熱助倒育屬坐帝限船臉職\
    速刻否剛威毛狀率甚獨球般普怕彈校苦創假久錯承印晚試股拿預誰益陽若哪微尼繼送急血驚傷素藥適波夜省初喜衛源食險待\
    述陸置居勞財環排福納歡雷警獲模充負雲停木游龍樹疑層冷洲沖射略範竟句室異激漢村哈策演簡卡罪判擔州靜退既衣宗積余\
    痛檢差富靈協角占配征修皮勝降階審沉堅善媽劉讀超免銀買皇養伊懷執副亂抗犯追幫宣佛歲航優怪香著田鐵控左右份穿藝背\
    陣草腳概惡塊敢守酒島托央戶烈洋哥索胡款靠評版寶座釋景顧弟登貨互付伯慢歐換聞危忙核暗姐介壞討麗良序升監亮露永呼\
    味野架域沙掉括艦魚雜誤吉減編楚肯測敗屋跑夢散困劍封救貴槍缺樓縣尚毫移娘朋畫班智亦耳恩短掌恐遺固席松秘謝魯遇康\
    幸均銷鐘詩藏趕劇票損忽巨炮舊端探湖錄葉春附吸予禮港雨呀板庭婦歸睛飯額含順輸招婚脫補謂督毒油療旅澤材滅逐莫筆亡\
    鮮詞聖擇尋廠睡博勒煙授岸唐賣俄炸洛健堂旁宮喝借君禁陰園謀宋避抓榮姑孫逃牙束跳頂玉鎮雪午練迫爺篇肉嘴館遍凡洞卷\
    坦牛寧紙諸訓私祖翻暴森塔默握戲隱熟骨訪弱蒙歌店鬼軟典欲薩伙遭盤爸擴蓋弄雄穩忘億刺擁徒姆楊齊賽趣曲刀床迎冰虛玩\
    析窗醒妻透購替塞努休虎揚途侵刑綠兄迅套貿畢唯谷輪尤競街促延震棄甲麻川申緩閃售針哲絡抵朱埃抱鼓植純夏忍杰築折鄭\
    尊吳秀混臣雅振染盛怒舞圓搞狂措姓殘秋培迷誠宇猛擺梅伸摩盟末乃悲拍丁趙硬麥操耶阻訂彩抽讚魔紛沿喊違妹浪匯幣丰藍\
    殊桌啦瓦萊援奪汽燒距裁偏";

/// Kanji: 825.
const JAPANESE: &str = "\
    日一人大年出本中子見国言上分生手自行者二間事思時気会十家女三前的方入小地合後目長場代私下立部学物月田何来彼話\
    体動社知理山内同心発高実作当新世今書度明五戦力名金性対意用男主通関文屋感郎業定政持道外取所現四最化民相法全情\
    不員様回戸口経数向機成近先利朝木安平北海点西東京都食電開問車連強教重界急身決保受正要調水別加広設指少多初選件\
    続使特面原信空校無元変進結番交軍流真転活八直九六七百万千円店号期共制午工服品勝着始終市区町村県府州川野島池石\
    岩土火風雨雪光音声歌花草葉虫魚鳥犬猫牛馬米茶酒肉料色赤青黄白黒銀鉄春夏秋冬夜昼昨週曜早遅速止走歩乗降運送届配\
    達返買売値引割台形角丸線図写映画絵紙読聞語字章題答解計算式倍単位温湿圧測量警報異常停起了完確認接切断源残充検\
    査修換予約注支払請求在庫商危険禁案付担責任御願致申存伺承済未満以限超過足低半程比率均差毎秒隔周減置距離幅深短\
    太細軽古若老父母兄弟姉妹友客族夫妻親供医病院薬痛熱頭顔耳鼻歯首肩胸腹背腰血液骨神健康命死産婦児童徒師輩室授試\
    験勉練習宿館研究科技術処械装器具製造建築働職務給税株券銭財布貸借価段有効継延更追削除登録索表示択戻次他違誤良\
    悪便簡難易困助役必可能果因由例説紹介質考想記憶忘覚識歴史伝統慣治際係律規則権義和争隊兵攻撃防守敵味将王姫城宇\
    宙球陽星然環境森林岳谷湖沼沖波港湾岸橋路駅列飛船荷旅荘泊晩夕頃祭祝誕祈念留絡住氏暗証鍵門扉窓壁床根階廊庭園公\
    街隣遠左右南奥裏側横縦底頂端央辺域郡宮崎埼玉奈阪福岡札幌仙沢井藤佐鈴渡伊吉清松竹梅桜菊久尾永浜武増斎杉坂浅嶋\
    柴荒熊阿河菅桑笑泣怒喜楽悲苦嬉愛恋好嫌怖驚疲眠寝遊踊描撮洗掃濯乾脱履替座並待渋滞刻退欠席参招呼迎帰寄婚縁令許\
    諦努頑張応援協議論討提述得反賛否拠訴裁判罪罰刑察逮捕盗殺害被傷故災震津洪暴嵐雷晴曇寒暖暑涼冷凍氷湯沸煮焼炊揚\
    辛甘酸塩砂糖油卵菜豆麦飯弁皿箱袋缶瓶杯個枚匹軒歳才第等級層群組班団委副課署局省庁印刷版巻冊頁節項条閉障郵再\
    末集各微従領消失敗越負構祖誰昇両";

/// Korean syllables: 651.
const KOREAN: &str = "\
    이다는을의가에하고지한를은기로도어서사나아리자대시있그인라해과들것여니일수정으전만보면주부게상스소제었원구요\
    거조장동비안없생모오우경신위미마성내때였습공진드유무러관말음실적선단당물중계방년세회치문연화저분국발양변명결\
    합금간학야교며달입개재통파려반래너두히심살남석외불업현바집운던같했든청각와까건필예온터품영행된강식편데호타설\
    트료질차버점본포작체색용능최번월알먹속력절길르열민될술준크직따디않검근특종격받른노약갈론산목험복레카많할환활\
    감백람름찾루더듯벽처난권린님북값엔류프출록네임담언찰존군육역후규배표토초련천략축책판투접향균날침왜락새눈또추\
    슬퍼피증빛손몸밤낮봄겨겠씨줄랑싶았됩됐함납녕십죠테블릭션램코컴퓨넷메뉴튼클태압펌밸브센높닫켜꺼짐졌냐응답완패\
    취확측올림족밀암등삭웃택퇴녁밥커친엄빠형누머딸병철돈싸빨느좋싫쁘넓좁짧겁볍뜨갑덥춥맛쉬힘괜찮맙걱억잊믿울잠깨\
    꿈듣쓰읽쓴걷뛰앉섰눕옷벗씻샀팔줬낸왔갔돌떠착멈췄움깔흰란깃흙숲섬늘별둥꽃잎뿌풀승곰돼닭김박윤황송홍허곽곡광희\
    숙순옥혜훈창찬빈율채혁섭범령량례룡륙률륭릉릴립링막맡맨맹먼멀멋멘몇못묘묵뭐뭘밑및밖밝밭뱅벌벨벤봐봤봉봬뵙뵈뿐\
    쁜삶삼삿샘샤섯셔셨셋셜솔쇄쇠쉽슨슷쌀쌍써썼쏟쑥악앞액얘얼얻엇엉엌엎염엽옆옛옮왕욕욱웅웬윗읍익잃잇잔잖잘잡젊젖\
    젠젯졸좀죄죽줘즉즐즘짓짜짝째쪽쫓찍챙척첫총촌촬춘춤충췌층칙칠칭칼캐컵켓켰콘콜큰큼키킨킬탁탄탈탐탑탕턴텍텐텔튀\
    틀틱팀팅팡팩팬펴평폐폭폰푸푼풍플핀핏핑항핵헌혀협혈혼홀횟횡효훌훨휴흐흔흘흥힌힐렸되귀급헤냉독템걸케매넘런워뒤\
    컨왼눌";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn frequent_characters_are_in_their_standard_once() {
        for (frequent, encoding, leads) in [
            (SIMPLIFIED, GBK, 0xb0..=0xd7),
            (TRADITIONAL, BIG5, 0xa4..=0xc6),
            (JAPANESE, EUC_JP, 0xb0..=0xcf),
            (KOREAN, EUC_KR, 0xb0..=0xc8),
        ] {
            let standard: BTreeSet<_> = characters(encoding, leads).collect();
            let listed: BTreeSet<_> = frequent.chars().collect();
            assert_eq!(listed.len(), frequent.chars().count(), "{}", encoding.name());
            assert_eq!(listed.difference(&standard).count(), 0, "{}", encoding.name());
        }
    }

    #[test]
    fn levels_of_the_standards_have_their_sizes() {
        let at_least =
            |tier_of: fn(&Han) -> Tier, tier| TABLES.han.iter().filter(|han| tier_of(han) >= tier).count();
        assert_eq!(at_least(|han| han.simplified, Tier::First), 3755);
        assert_eq!(at_least(|han| han.simplified, Tier::Second), 6763);
        // With radicals of Hong Kong.
        assert_eq!(at_least(|han| han.traditional, Tier::First), 5426);
        assert_eq!(at_least(|han| han.japanese, Tier::First), 2965);
        assert_eq!(at_least(|han| han.japanese, Tier::Second), 6355);
        assert_eq!(TABLES.hangul.iter().filter(|tier| **tier >= Tier::First).count(), 2350);
    }
}
